package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sourcegraph/jsonrpc2"
)

// An editor is a client of phasegate lsp, which runs as a process of its own. Its
// frames are those of the library, not of the server.
type editor struct {
	testing.TB
	cmd       *exec.Cmd
	in        io.WriteCloser // of the server, for what no client would send
	conn      *jsonrpc2.Conn
	said      bytes.Buffer // the server's standard error
	published chan published
}

type published struct {
	URI         string
	Version     *int
	Diagnostics []diagnosed
}

type diagnosed struct {
	Range           spanned
	Severity        int
	Code            string
	CodeDescription struct{ Href string }
	Source          string
	Message         string

	RelatedInformation []struct {
		Location located
		Message  string
	}
}

type place struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

type spanned struct {
	Start place `json:"start"`
	End   place `json:"end"`
}

type located struct {
	URI   string
	Range spanned
}

// m is an object of the protocol.
type m = map[string]any

// newEditor starts the server, and initializes it.
func newEditor(t testing.TB) *editor {
	t.Helper()
	e := startServer(t)
	var result struct {
		Capabilities m
		ServerInfo   struct{ Name string }
	}
	e.call("initialize", m{"processId": os.Getpid(), "rootUri": nil, "capabilities": m{"textDocument": m{
		"publishDiagnostics": m{"relatedInformation": true, "codeDescriptionSupport": true},
	}}}, &result)
	if result.ServerInfo.Name != "phasegate" || result.Capabilities["positionEncoding"] != "utf-16" {
		t.Errorf("it says of itself %+v", result)
	}
	e.notify("initialized", m{})
	return e
}

func startServer(t testing.TB) *editor {
	t.Helper()
	e := &editor{TB: t, published: make(chan published, 1000)}
	e.cmd = phasegate(t, "lsp", "--stdio")
	e.cmd.Stderr = &e.said
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.in = in
	e.conn = jsonrpc2.NewConn(t.Context(), jsonrpc2.NewBufferedStream(pipes{out, in}, jsonrpc2.VSCodeObjectCodec{}),
		jsonrpc2.HandlerWithError(e.hear), jsonrpc2.SetLogger(quiet{}))
	return e
}

// quiet keeps the library's own chatter out of the tests' output.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

type pipes struct {
	io.Reader
	io.WriteCloser
}

func (e *editor) hear(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
	if r.Method == "textDocument/publishDiagnostics" {
		var p published
		if err := json.Unmarshal(*r.Params, &p); err != nil {
			return nil, err
		}
		e.published <- p
	}
	return nil, nil
}

func (e *editor) call(method string, params, result any) {
	e.Helper()
	if err := e.conn.Call(e.Context(), method, params, result); err != nil {
		e.Fatalf("%s: %v\n%s", method, err, &e.said)
	}
}

// refused calls a method that has to fail, and returns the code.
func (e *editor) refused(method string, params any) int64 {
	e.Helper()
	err := e.conn.Call(e.Context(), method, params, nil)
	var refusal *jsonrpc2.Error
	if !errors.As(err, &refusal) {
		e.Fatalf("%s: %v, where a refusal was expected", method, err)
	}
	return refusal.Code
}

func (e *editor) notify(method string, params any) {
	e.Helper()
	if err := e.conn.Notify(e.Context(), method, params); err != nil {
		e.Fatalf("%s: %v\n%s", method, err, &e.said)
	}
}

func (e *editor) open(uri, text string) {
	e.Helper()
	e.notify("textDocument/didOpen", m{"textDocument": m{"uri": uri, "languageId": "yaml", "version": 1, "text": text}})
}

func (e *editor) change(uri string, version int, changes ...m) {
	e.Helper()
	e.notify("textDocument/didChange", m{"textDocument": m{"uri": uri, "version": version}, "contentChanges": changes})
}

// findings waits for those about a version of a document.
func (e *editor) findings(uri string, version int) []diagnosed {
	e.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case p := <-e.published:
			if p.URI == uri && p.Version != nil && *p.Version == version {
				return p.Diagnostics
			}
		case <-late:
			e.Fatalf("nothing is published about version %d of %s\n%s", version, uri, &e.said)
		}
	}
}

// ends waits for the server's exit code, after which its standard error is whole.
func (e *editor) ends(code int) string {
	e.Helper()
	err := e.cmd.Wait()
	if got := e.cmd.ProcessState.ExitCode(); got != code {
		e.Errorf("it ends with %d (%v), not %d\n%s", got, err, code, &e.said)
	}
	return e.said.String()
}

// leave ends the session as the protocol has it.
func (e *editor) leave() {
	e.Helper()
	e.call("shutdown", nil, nil)
	e.notify("exit", nil)
	if said := e.ends(ExitDone); said != "" {
		e.Errorf("it says:\n%s", said)
	}
}

// place is where what stands behind before begins in the text, in UTF-16 units.
func placeBehind(t testing.TB, text, before string) place {
	t.Helper()
	i := bytes.Index([]byte(text), []byte(before))
	if i < 0 {
		t.Fatalf("%q is not in\n%s", before, text)
	}
	var p place
	for _, r := range text[:i+len(before)] {
		switch {
		case r == '\n':
			p.Line, p.Character = p.Line+1, 0
		case r > 0xFFFF:
			p.Character += 2
		default:
			p.Character++
		}
	}
	return p
}

func uriOf(path string) string { return "file://" + filepath.ToSlash(path) }

// phasegate is a call of the program.
func phasegate(t testing.TB, args ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "phasegate", args...)
}
