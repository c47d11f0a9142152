package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// An emulation is phasegate auth0-emulator at work, a process of its own.
type emulation struct {
	*testing.T
	dir   string
	cmd   *exec.Cmd
	line  string // that it printed when it was ready
	ready emulatorReady
}

// emulated starts the emulator in a directory that holds the page's seed.
func emulated(t *testing.T, args ...string) *emulation {
	t.Helper()
	e := &emulation{T: t, dir: t.TempDir()}
	seed, err := os.ReadFile("../../docs/auth0-emulator.seed.json")
	if err == nil {
		err = os.WriteFile(filepath.Join(e.dir, "auth0-emulator.seed.json"), seed, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.cmd = exec.CommandContext(t.Context(), "phasegate", append([]string{"auth0-emulator"}, args...)...)
	e.cmd.Dir = e.dir
	out, err := e.cmd.StdoutPipe()
	if err == nil {
		err = e.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	e.line, err = bufio.NewReader(out).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(e.line), &e.ready)
	}
	if err != nil {
		t.Fatalf("the emulator said %q: %v", e.line, err)
	}
	return e
}

// ends sends a signal and wants the emulator to end by it with exit code 0.
func (e *emulation) ends(by os.Signal) {
	e.Helper()
	if err := e.cmd.Process.Signal(by); err != nil {
		e.Fatal(err)
	}
	if err := e.cmd.Wait(); err != nil {
		e.Errorf("ended by %v: %v", by, err)
	}
}

// localized is a text of the page with the addresses that this emulator has.
func (e *emulation) localized(text string) string {
	return strings.NewReplacer(
		"http://127.0.0.1:8080", e.ready.HTTPURL, "127.0.0.1:8443", e.ready.Domain).Replace(text)
}

// anyPort has the command of the page listen on ports that are free.
func anyPort(command string) []string {
	command = strings.NewReplacer("127.0.0.1:8443", "127.0.0.1:0", "127.0.0.1:8080", "127.0.0.1:0", "\\\n", "").Replace(command)
	return strings.Fields(command)[2:]
}

// alike tells whether a JSON value is the page's; "..." stands for any.
func alike(page, got any) bool {
	switch want := page.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok || len(have) != len(want) {
			return false
		}
		for key := range want {
			if value, ok := have[key]; !ok || !alike(want[key], value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := got.([]any)
		if !ok || len(have) != len(want) {
			return false
		}
		for n := range want {
			if !alike(want[n], have[n]) {
				return false
			}
		}
		return true
	}
	return page == "..." || reflect.DeepEqual(page, got)
}

// shows compares an output with the block of the page behind its command.
func (e *emulation) shows(command, language, block, output string) {
	e.Helper()
	block = e.localized(block)
	if language == "text" {
		if strings.TrimSpace(block) != strings.TrimSpace(output) {
			e.Errorf("%s\nsays\n%s\nthe page says\n%s", command, output, block)
		}
		return
	}
	var want, got any
	if err := json.Unmarshal([]byte(block), &want); err != nil {
		e.Fatal(err)
	}
	if err := json.Unmarshal([]byte(output), &got); err != nil || !alike(want, got) {
		e.Errorf("%s\nsays\n%s\nthe page says\n%s", command, output, block)
	}
}

func TestThePageOfTheAuth0EmulatorDoesWhatItSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/auth0-emulator.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```([a-z]+)\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 || blocks[0][1] != "sh" || blocks[1][1] != "json" {
		t.Fatalf("the page shows %d blocks, and the first ones are not how it is started", len(blocks))
	}
	e := emulated(t, anyPort(blocks[0][2])...)
	page := strings.ReplaceAll(blocks[1][2], "http://127.0.0.1:8080", e.ready.HTTPURL)
	e.shows(blocks[0][2], "json", page, e.line)
	var command, output string
	for _, block := range blocks[2:] {
		if block[1] != "sh" {
			e.shows(command, block[1], block[2], output)
			continue
		}
		command = e.localized(block[2])
		run := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
		run.Dir = e.dir
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%s%v", command, out, err)
		}
		output = string(out)
	}
	e.ends(syscall.SIGTERM)
}

func TestTheAuth0EmulatorEndsWithASignalAlsoWhileARequestHangs(t *testing.T) {
	t.Parallel()
	e := emulated(t)
	if e.ready.ClientID == "" || e.ready.CAFile != "" {
		t.Errorf("it says %s", e.line)
	}
	response, err := http.Post(e.ready.HTTPURL+"/emulator/faults", "", strings.NewReader(`{"do":"hang 1h"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	hung := make(chan error, 1)
	go func() {
		_, err := http.Get(e.ready.HTTPURL + "/.well-known/jwks.json")
		hung <- err
	}()
	for met := 0; met == 0; {
		met = e.met()
	}
	e.ends(syscall.SIGINT)
	if err := <-hung; err == nil {
		t.Error("the request that hung was answered")
	}
}

// met is how many requests the first fault has met.
func (e *emulation) met() int {
	e.Helper()
	response, err := http.Get(e.ready.HTTPURL + "/emulator/faults")
	if err != nil {
		e.Fatal(err)
	}
	defer response.Body.Close()
	var faults []struct{ Met int }
	if err := json.NewDecoder(response.Body).Decode(&faults); err != nil || len(faults) != 1 {
		e.Fatalf("faults: %v, %v", faults, err)
	}
	return faults[0].Met
}

func TestTheAuth0EmulatorRefusesAWrongCallAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, want := range map[string]string{
		"{\n\"user\": []}":                    `line 2: json: unknown field "user"`,
		"{\n\n\"users\": [{},]}":              "line 3: invalid character",
		"{\"roles\": [{\n\"name\": 1}]}":      "line 2: json: cannot unmarshal number",
		"":                                    "the file is empty",
		`{"users": [{}, {"name": "nobody"}]}`: "users[1] has no email and no username",
		`{"users": [{"email":"a@b.c"},{"email":"A@b.c"}], "connections":[{"name":"x"}]}`: "users[1]: put user",
		`{"connections": [{"name":"y","clients":["x"]}]}`:                                `names client "x", which is not there`,
		`{"actions": [{"name":"x","trigger":"pre-login"}]}`:                              `actions[0] has the trigger "pre-login": want one of [post-login `,
		`{"clients": [{"name":"x","type":"spaa"}]}`:                                      `clients[0] has the type "spaa": want one of [`,
		`{"apis": [{"name":"x"}]}`:                                                       "apis[0] has no identifier",
		`{} {}`:                                                                          "there is more behind the object",
	} {
		file := filepath.Join(dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(content))))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, want, "--seed", file)
	}
	refused(t, "no plan is called", "--limits", "huge")
	refused(t, "no such file", "--seed", filepath.Join(dir, "none.json"))
}

// refused wants exit code 2 and a message.
func refused(t *testing.T, want string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "phasegate", append([]string{"auth0-emulator"}, args...)...)
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != ExitUsage || !strings.Contains(string(said), want) {
		t.Errorf("%v: %v, %s\nwant exit code 2 and %q", args, err, said, want)
	}
}
