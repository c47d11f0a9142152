package approval_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/internal/sshtest"
	"github.com/medlogistics/phasegate/runner/task"
)

// newKey returns a person's key, as OpenSSH keeps it in a file.
func newKey(t *testing.T) (key ssh.Signer, file string) {
	t.Helper()
	made := sshtest.New(t)
	file = filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(file, made.File, 0o600); err != nil {
		t.Fatal(err)
	}
	return made.Signer, file
}

// authorized is a key as a list of signers has it.
func authorized(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}

// listed returns the file of a list of signers.
func listed(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) approval.Signers {
	t.Helper()
	signers, err := approval.ReadSigners(file)
	if err != nil {
		t.Fatal(err)
	}
	return signers
}

func basis() task.Basis {
	return task.Basis{
		Plan: "move", Digest: strings.Repeat("ab", 32), Run: "run-1", Phase: "schema", Gate: "approve-schema",
		Receipts: map[string]string{"backup": strings.Repeat("cd", 32)},
	}
}

func approve(by string) approval.Decision {
	return approval.Decision{Approved: true, By: by, At: time.Now().UTC().Truncate(time.Second), Covers: basis()}
}

func TestASignedStatementIsReadBackAndOpenSSHVerifiesItToo(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	file := listed(t, `alice,dba namespaces="phasegate" `+authorized(key))
	said, err := approval.Sign(approve("alice"), key)
	if err != nil {
		t.Fatal(err)
	}
	d, signer, err := approval.Read(said, read(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if d.By != "alice" || !d.Approved || d.Via != approval.ViaSSH || d.Covers.Digest != basis().Digest || !signer.Is("dba") {
		t.Errorf("read %+v of %+v", d, signer)
	}
	signature := filepath.Join(t.TempDir(), "statement.sig")
	if err := os.WriteFile(signature, []byte(said.Signature), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := exec.Command("ssh-keygen", "-Y", "verify", "-f", file, "-I", "alice", "-n", approval.Namespace, "-s", signature)
	verify.Stdin = strings.NewReader(said.Text)
	if output, err := verify.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen: %v: %s", err, output)
	}
}

func TestWhatOpenSSHSignedIsReadToo(t *testing.T) {
	t.Parallel()
	key, file := newKey(t)
	said, err := approval.Sign(approve("alice"), key)
	if err != nil {
		t.Fatal(err)
	}
	sign := exec.Command("ssh-keygen", "-Y", "sign", "-f", file, "-n", approval.Namespace)
	sign.Stdin = strings.NewReader(said.Text)
	var signature bytes.Buffer
	sign.Stdout = &signature
	if err := sign.Run(); err != nil {
		t.Fatal(err)
	}
	said.Signature = signature.String()
	if _, _, err := approval.Read(said, read(t, listed(t, "alice "+authorized(key)))); err != nil {
		t.Error(err)
	}
}

func TestAStatementThatWasTouchedCountsForNothing(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	other, _ := newKey(t)
	signers := read(t, listed(t, "alice "+authorized(key), "bob "+authorized(other)))
	said, err := approval.Sign(approve("alice"), key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range said.Text {
		touched := []byte(said.Text)
		touched[i] ^= 1
		if _, _, err := approval.Read(task.Statement{Text: string(touched), Signature: said.Signature}, signers); err == nil {
			t.Fatalf("byte %d flipped, and it still counts", i)
		}
	}
	stranger, _ := newKey(t)
	inAnothersName, err := approval.Sign(approve("alice"), other)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := approval.Sign(approve("alice"), stranger)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		said task.Statement
		want string
	}{
		"another's name":   {inAnothersName, "in another's name"},
		"unknown key":      {unknown, "not among the signers"},
		"no signature":     {task.Statement{Text: said.Text}, "read the signature"},
		"half a signature": {task.Statement{Text: said.Text, Signature: said.Signature[:80]}, "read the signature"},
		"no statement":     {task.Statement{Signature: said.Signature}, "read the statement"},
		"a later form":     {task.Statement{Text: `{"phasegate":2}`, Signature: said.Signature}, "form 2"},
	} {
		if _, _, err := approval.Read(c.said, signers); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestASignatureForSomethingElseIsNoApproval(t *testing.T) {
	t.Parallel()
	key, file := newKey(t)
	said, err := approval.Sign(approve("alice"), key)
	if err != nil {
		t.Fatal(err)
	}
	sign := exec.Command("ssh-keygen", "-Y", "sign", "-f", file, "-n", "git")
	sign.Stdin = strings.NewReader(said.Text)
	signature, err := sign.Output()
	if err != nil {
		t.Fatal(err)
	}
	said.Signature = string(signature)
	_, _, err = approval.Read(said, read(t, listed(t, "alice "+authorized(key))))
	if err == nil || !strings.Contains(err.Error(), "namespace") {
		t.Errorf("error %v", err)
	}
}

func TestAListOfSignersSaysWhatIsWrongInWhichLine(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	other, _ := newKey(t)
	a, b := authorized(key), authorized(other)
	for line, want := range map[string]string{
		"alice":                                     "no key",
		"alice ssh-ed25519 AAAA":                    "no key that can be read",
		"*@example.org " + a:                        "is a pattern",
		"nurse@example.org " + a:                    "looks like an e-mail address",
		`alice namespaces="git" ` + a:               "may not sign for the namespace",
		"alice cert-authority " + a:                 "is not understood",
		"alice valid-after=\"soon\" " + a:           "is no time",
		"bob " + a + "\nalice " + a:                 "one key is one person",
		",alice " + a:                               "is a pattern",
		"# nobody":                                  "nobody is in it",
		"alice,dba " + a + "\nalice " + b:           "alice is in other groups on a line before",
		"alice " + a + "\nalice,dba " + b:           "alice is in other groups on a line before",
		"alice,bob " + a + "\nbob " + b:             "bob is a person and a group",
		"bob " + a + "\nalice,bob " + b:             "bob is a person and a group",
		"alice,alice " + a:                          "alice is a person and a group",
		"alice,DBA " + a + "\ndba " + b:             "dba is a person and a group",
		"Initiator " + a:                            "what a plan calls whoever began the run",
		"initiator " + a:                            "what a plan calls whoever began the run",
		`alice namespaces="git,phasegate",x=1 ` + a: "is not understood",
	} {
		_, err := approval.ReadSigners(listed(t, line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", line, err, want)
		}
	}
}

// With which of a person's keys, and in which order their groups stand, is no matter.
func TestAPersonMayHaveSeveralKeys(t *testing.T) {
	t.Parallel()
	first, _ := newKey(t)
	second, _ := newKey(t)
	signers := read(t, listed(t, "alice,dba,night "+authorized(first), "alice,night,dba "+authorized(second)))
	if names := signers.Names(); len(signers) != 2 || len(names) != 1 {
		t.Errorf("%d keys of %v", len(signers), names)
	}
}

func TestAKeyOutsideItsTimeSignsNothing(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	said, err := approval.Sign(approve("alice"), key)
	if err != nil {
		t.Fatal(err)
	}
	for option, valid := range map[string]bool{
		`valid-before="20200101Z"`:                            false,
		`valid-after="20990101000000Z"`:                       false,
		`valid-after="20200101",valid-before="209901010000Z"`: true,
	} {
		_, _, err := approval.Read(said, read(t, listed(t, "alice "+option+" "+authorized(key))))
		if (err == nil) != valid {
			t.Errorf("%s: error %v", option, err)
		}
	}
}

func TestTheKeyIsTheAgentsOrAFiles(t *testing.T) {
	t.Parallel()
	key, file := newKey(t)
	_, strangers := newKey(t)
	signers := read(t, listed(t, "alice "+authorized(key)))
	socket := serveAgent(t, strangers, file)
	public := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(public, []byte(authorized(key)+" alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, ring := range map[string]approval.Keyring{
		"agent":                {Agent: socket},
		"agent, by public key": {Agent: socket, File: public},
		"file":                 {File: file},
	} {
		found, signer, closeAgent, err := ring.Key(t.Context(), signers)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said, err := approval.Sign(approve(signer.Name), found)
		if err == nil {
			_, _, err = approval.Read(said, signers)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		closeAgent()
	}
	for name, ring := range map[string]approval.Keyring{
		"is among the signers": {File: strangers},
		"no ssh-agent answers": {},
		"connect":              {Agent: filepath.Join(t.TempDir(), "gone")},
		"read the key":         {File: filepath.Join(t.TempDir(), "gone")},
		"read key":             {File: listed(t, "alice")},
	} {
		if _, _, _, err := ring.Key(t.Context(), signers); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestAKeyWithAPassphraseAsksForIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "id_ed25519")
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := read(t, listed(t, "alice "+string(public)))
	ring := approval.Keyring{File: file, Passphrase: func(string) ([]byte, error) { return []byte("open sesame"), nil }}
	if _, _, _, err := ring.Key(t.Context(), signers); err != nil {
		t.Error(err)
	}
	ring.Passphrase = nil
	if _, _, _, err := ring.Key(t.Context(), signers); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("error %v", err)
	}
}

func TestAStatementIsNotDatedBackIntoTheTimeOfItsKey(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	d := approve("alice")
	d.At = d.At.Add(-2 * time.Hour)
	said, err := approval.Sign(d, key)
	if err != nil {
		t.Fatal(err)
	}
	expired := time.Now().Add(-time.Hour).UTC().Format("20060102150405Z")
	signers := read(t, listed(t, `alice valid-before="`+expired+`" `+authorized(key)))
	said.Time = time.Now()
	if _, _, err := approval.Read(said, signers); err == nil || !strings.Contains(err.Error(), "was not valid at") {
		t.Errorf("error %v", err)
	}
	said.Time = d.At
	if _, _, err := approval.Read(said, signers); err != nil {
		t.Error(err)
	}
}

// serveAgent serves an ssh-agent with these keys on a socket.
func serveAgent(t *testing.T, files ...string) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		private, err := ssh.ParseRawPrivateKey(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
	return socket
}
