package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
)

// onePlan is without a mistake, but for what stands at its %s.
const onePlan = `version: 1
name: demo
contacts:
  - { role: Somebody, reach: "#oncall" }
phases:
  - name: look
    steps:
      - { id: %s, task: host/disk, with: { path: ., min: 1MB } }
`

func TestLanguageServerKeepsDocumentsApart(t *testing.T) {
	t.Parallel()
	e := newEditor(t)
	one, two := uriOf(t.TempDir()+"/plan.yaml"), uriOf(t.TempDir()+"/plan.yaml")
	e.open(one, fmt.Sprintf(onePlan, "Wrong"))
	e.open(two, fmt.Sprintf(onePlan, "right"))
	versions := map[string]int{}
	for range 2 {
		p := <-e.published
		versions[p.URI] = len(p.Diagnostics)
	}
	if len(versions) != 2 || versions[one] != 1 || versions[two] != 0 {
		t.Fatalf("the findings are %v", versions)
	}
	e.change(one, 2, m{"text": fmt.Sprintf(onePlan, "right")})
	e.change(two, 2, m{"text": fmt.Sprintf(onePlan, "Wrong")})
	if found := e.findings(two, 2); len(found) != 1 {
		t.Errorf("it says %+v of the second", found)
	}
	e.notify("textDocument/didClose", m{"textDocument": m{"uri": two}})
	for p := range e.published { // what is closed has no findings any more
		if p.URI == two && p.Version == nil {
			break
		}
	}
	e.open(two, fmt.Sprintf(onePlan, "Wrong"))
	if found := e.findings(two, 1); len(found) != 1 {
		t.Errorf("opened again, it says %+v", found)
	}
	if code := e.refused("textDocument/hover", m{"textDocument": m{"uri": "file:///never/opened"}, "position": place{}}); code != -32602 {
		t.Errorf("a document that is not open is refused with %d", code)
	}
	e.leave()
}

// Only the last of what is typed quickly is checked, and never an older text
// behind a newer one.
func TestLanguageServerPublishesTheLastOfManyKeystrokes(t *testing.T) {
	t.Parallel()
	e := newEditor(t)
	uri := uriOf(t.TempDir() + "/plan.yaml")
	text := fmt.Sprintf(onePlan, "")
	e.open(uri, text)
	e.findings(uri, 1)
	cursor := placeBehind(t, text, "- { id: ")
	const strokes = 200
	for i := range strokes {
		e.change(uri, 2+i, m{"range": spanned{cursor, cursor}, "text": "a"})
		cursor.Character++
	}
	last, told := 1, 0
	for last < strokes+1 {
		p := <-e.published
		if *p.Version < last {
			t.Errorf("version %d is told of behind %d", *p.Version, last)
		}
		last = *p.Version
		told++
	}
	if told > strokes/4 {
		t.Errorf("%d keystrokes were told of %d times", strokes, told)
	}
	e.leave()
}

// What is not a plan costs nothing, and what is broken everywhere does no harm.
func TestLanguageServerBearsWhatIsNoPlan(t *testing.T) {
	t.Parallel()
	e := newEditor(t)
	for i, c := range []struct {
		text  string
		found bool
	}{
		{"services:\n  api: { image: api }\n", false},
		{"on: push\nname: ci\njobs: {}\n", false},
		{"- a\n- b\n", false},
		{"", true},
		{"\x00\u2028\uFEFF{[\"", false},
		{"phases: {[\"'", true},
		{"version: 1\n\tname: x\n", true},
		{"phases:\n" + strings.Repeat("  - - - ", 200), true},
		{"phases: " + strings.Repeat("[", 100_000), true},
		{"phases: &a [*a]\n", true},
		{"version: 1\rname: demo\rphases: []\r", true},
		{"phases: \"" + strings.Repeat("👩‍⚕️", 50_000), true},
	} {
		uri := fmt.Sprintf("file:///no/plan-%d.yaml", i)
		e.open(uri, c.text)
		if found := e.findings(uri, 1); len(found) > 0 != c.found {
			t.Errorf("of %.40q it says %+v", c.text, found)
		}
		for _, where := range []place{{0, 0}, {0, 9}, {1, 3}, {9999, 9999}, {-1, -1}} {
			for _, method := range []string{"completion", "hover", "definition", "documentSymbol"} {
				e.call("textDocument/"+method, m{"textDocument": m{"uri": uri}, "position": where}, nil)
			}
		}
	}
	e.leave()
}

func TestLanguageServerBearsAHugeDocument(t *testing.T) {
	t.Parallel()
	e := newEditor(t)
	line := "  # " + strings.Repeat("x", 1000) + "\n"
	uri := "file:///huge.yaml"
	e.open(uri, fmt.Sprintf(onePlan, "a")+strings.Repeat(line, plan.MaxSize/len(line)+1))
	if found := e.findings(uri, 1); len(found) != 1 || found[0].Code != "too-large" {
		t.Errorf("it says %+v", found)
	}
	if os.Getenv("PHASEGATE_SOAK") != "" { // every step may be asked about
		var steps strings.Builder
		for i := range plan.MaxSteps - 1 {
			fmt.Fprintf(&steps, "      - { id: step-%d, task: host/disk, with: { path: ., min: 1MB } }\n", i)
		}
		e.change(uri, 2, m{"text": fmt.Sprintf(onePlan, "a") + steps.String()})
		if found := e.findings(uri, 2); len(found) > 0 {
			t.Errorf("of many steps it says %+v", found[0])
		}
	}
	e.call("textDocument/completion", m{"textDocument": m{"uri": uri}, "position": place{5, 3}}, nil)
	e.leave()
}

func TestLanguageServerKeepsTheOrderOfASession(t *testing.T) {
	t.Parallel()
	e := startServer(t)
	asking := m{"textDocument": m{"uri": "file:///a"}, "position": place{}}
	if code := e.refused("textDocument/hover", asking); code != -32002 {
		t.Errorf("before initialize it refuses with %d", code)
	}
	e.notify("textDocument/didOpen", m{"textDocument": m{"uri": "file:///a", "text": "phases"}})
	e.call("initialize", m{"capabilities": m{}}, nil)
	for method, want := range map[string]int64{
		"initialize": -32600, "textDocument/rename": -32601, "no/such/method": -32601, "textDocument/completion": -32602,
	} {
		if code := e.refused(method, m{"position": "here"}); code != want {
			t.Errorf("%s is refused with %d, not %d", method, code, want)
		}
	}
	e.notify("$/unknown", m{})
	e.notify("textDocument/didOpen", []int{1})
	e.notify("textDocument/didChange", m{"textDocument": m{"uri": "file:///a"}})
	e.call("shutdown", nil, nil)
	if code := e.refused("textDocument/hover", asking); code != -32600 {
		t.Errorf("after shutdown it refuses with %d", code)
	}
	e.notify("exit", nil)
	e.ends(ExitDone)
}

// A request that is cancelled is answered all the same, once, and by either of
// the two answers that the protocol allows.
func TestLanguageServerAnswersWhatIsCancelled(t *testing.T) {
	t.Parallel()
	e := rawServer(t)
	e.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{}}}`)
	text, _ := json.Marshal(strings.Repeat("# a long text\n", 200_000) + fmt.Sprintf(onePlan, "a"))
	e.send(`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a","languageId":"yaml","version":1,"text":` + string(text) + `}}}`)
	for id := 1; id <= 20; id++ {
		e.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"textDocument/completion","params":{"textDocument":{"uri":"file:///a"},"position":{"line":200003,"character":3}}}`, id))
	}
	for id := 1; id <= 20; id++ {
		e.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%d}}`, id))
	}
	e.send(`{"jsonrpc":"2.0","id":99,"method":"shutdown"}`)
	answered, cancelled := map[string]int{}, 0
	for len(answered) < 22 {
		r := e.receives()
		if r.ID == nil {
			continue // findings
		}
		answered[string(r.ID)]++
		if r.Error != nil {
			if cancelled++; r.Error.Code != -32800 {
				t.Errorf("%s is refused with %+v", r.ID, r.Error)
			}
		}
	}
	for id, times := range answered {
		if times != 1 {
			t.Errorf("%s is answered %d times", id, times)
		}
	}
	if cancelled == 0 {
		t.Error("none of 20 requests was cancelled")
	}
	e.send(`{"jsonrpc":"2.0","method":"exit"}`)
	e.ends(ExitDone)
}

// A raw client writes frames by hand.
type raw struct {
	*editor
	out *bufio.Reader
}

type answer struct {
	ID    json.RawMessage
	Error *struct {
		Code    int
		Message string
	}
}

func rawServer(t *testing.T) *raw {
	t.Helper()
	reader, writer := io.Pipe()
	e := &editor{TB: t}
	e.cmd = phasegate(t, "lsp")
	e.cmd.Stderr, e.cmd.Stdout = &e.said, writer
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.in = in
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &raw{e, bufio.NewReader(reader)}
}

func (r *raw) writes(text string) {
	r.Helper()
	if _, err := io.WriteString(r.in, text); err != nil {
		r.Fatal(err)
	}
}

func (r *raw) send(content string) {
	r.Helper()
	r.writes(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(content), content))
}

func (r *raw) receives() answer {
	r.Helper()
	var length int
	if _, err := fmt.Fscanf(r.out, "Content-Length: %d\r\n\r\n", &length); err != nil {
		r.Fatalf("read the header of a message: %v", err)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(r.out, content); err != nil {
		r.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(content, &a); err != nil {
		r.Fatalf("%v in %s", err, content)
	}
	return a
}

// What is framed and makes no sense is refused, and the session goes on.
func TestLanguageServerRefusesMessagesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	e := rawServer(t)
	for content, code := range map[string]int{
		`{"jsonrpc":`: -32700, ``: -32700, `]`: -32700, "\xff\xfe": -32700,
		`[]`: -32600, `{}`: -32600, `7`: -32600, `{"jsonrpc":"2.0","id":{},"method":"shutdown"}`: -32600,
		`[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]`: -32600,
	} {
		e.send(content)
		if got := e.receives(); got.Error == nil || got.Error.Code != code || string(got.ID) != "null" {
			t.Errorf("%q is answered with %+v", content, got.Error)
		}
	}
	e.writes("content-type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length: 80\r\n\r\n" +
		fmt.Sprintf("%-80s", `{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"capabilities":{}}}`))
	if got := e.receives(); got.Error != nil || string(got.ID) != `"a"` {
		t.Errorf("initialize is answered with %+v", got)
	}
	e.send(`{"jsonrpc":"2.0","id":"b","method":"shutdown"}`)
	e.receives()
	e.send(`{"jsonrpc":"2.0","method":"exit"}`)
	e.ends(ExitDone)
}

// A header that cannot be read ends the session with a word about it: nobody
// knows where the next message begins. So does an editor that goes away.
func TestLanguageServerEndsWhereNothingCanBeRead(t *testing.T) {
	t.Parallel()
	for header, why := range map[string]string{
		"":                                        "the client went away without asking for shutdown",
		"Content-Length: 10\r\n":                  "the input ends in its header",
		"Content-Length: 10\r\n\r\n{}":            "the input ends after 2 of 10 bytes",
		"\r\n\r\n":                                "its header has no Content-Length",
		"Content-Length: -1\r\n\r\n":              "its Content-Length is not a number",
		"Content-Length: 99999999999\r\n\r\n":     "its Content-Length is not a number",
		"Content-Length: x\r\n\r\n":               "its Content-Length is not a number",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":       "its header has no Content-Length",
		"X: " + strings.Repeat("x", 10_000):       "its header is longer than 4096 bytes",
		strings.Repeat("X: y\r\n", 10_000):        "its header is longer than 4096 bytes",
		"Content-Length: 120000000\r\n\r\n{\"a\"": "the input ends after 4 of 120000000 bytes",
	} {
		cmd := phasegate(t, "lsp")
		cmd.Stdin = strings.NewReader(header)
		said, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != ExitFailed || !strings.Contains(string(said), why) || strings.Contains(string(said), "goroutine") {
			t.Errorf("%.40q ends with %d and says\n%s", header, code, said)
		}
	}
}

// BenchmarkEditorKeystroke is the time from a keystroke in a plan of 1,000 steps
// until the editor has the findings, the server's pause for further keystrokes
// included.
func BenchmarkEditorKeystroke(b *testing.B) {
	e := newEditor(b)
	uri := uriOf(b.TempDir() + "/plan.yaml")
	var steps strings.Builder
	for i := range 999 {
		fmt.Fprintf(&steps, "      - { id: step-%d, task: host/disk, summary: Look again, with: { path: ., min: 1MB } }\n", i)
	}
	e.open(uri, fmt.Sprintf(onePlan, "a")+steps.String())
	e.findings(uri, 1)
	version := 1
	for b.Loop() {
		version++
		e.change(uri, version, m{"range": spanned{place{500, 50}, place{500, 50}}, "text": "x"})
		e.findings(uri, version)
	}
	e.leave()
}
