package journal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// written puts a journal of one session into p, as a later phasegate would have
// written it.
func written(t *testing.T, p place, line string) {
	t.Helper()
	p.fill(t, testRun, Event{Type: Opened, Run: testRun, Contract: Contract})
	p.rewrite(t, testRun, [][]byte{[]byte(line)})
	if strings.HasPrefix(p.address, "postgres://") {
		var end chain
		end.advance([]byte(line))
		execute(t, p.address, `update phasegate.runs set seq = $1, hash = $2`, end.seq, end.prev)
	}
}

func laterMinor(t *testing.T, p place) {
	written(t, p, `{"seq":1,"time":"2027-01-02T03:04:05Z","type":"opened","run":"`+testRun+
		`","contract":"1.999","plan":"toy","phases":["one"],"moon":{"phase":"full"}}`)
	w, events, err := p.open(t).Open(t.Context(), testRun)
	if err != nil || len(events) != 1 || events[0].Plan != "toy" {
		t.Fatalf("%+v, %v", events, err)
	}
	defer w.Close()
	mustAppend(t, w, Event{Type: Closed, Run: testRun, Status: Done})
	if events, err = p.open(t).Read(t.Context(), testRun); err != nil || len(events) != 2 {
		t.Errorf("%+v, %v", events, err)
	}
}

// The line has nothing that this version knows but the contract's name: not even
// numbers, and a type that is none.
func laterMajor(t *testing.T, p place) {
	line := `{"contract":"2.0","n":1,"type":{"session":"opened"},"run":7}`
	written(t, p, line)
	store := p.open(t)
	_, _, opening := store.Open(t.Context(), testRun)
	_, reading := store.Read(t.Context(), testRun)
	_, folding := store.State(t.Context(), testRun)
	lines, err := store.Lines(t.Context(), testRun)
	if err != nil || len(lines) != 1 || !bytes.Equal(lines[0], []byte(line)) {
		t.Fatalf("the lines were not left as they are: %q, %v", lines, err)
	}
	_, verifying := Verify(testRun, lines)
	for what, err := range map[string]error{"open": opening, "read": reading, "state": folding, "verify": verifying} {
		foreign, ok := errors.AsType[*ContractError](err)
		if !ok || foreign.Contract != "2.0" || !strings.Contains(err.Error(), "contract 2.0") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if held, err := store.Held(t.Context(), testRun); held || err != nil {
		t.Errorf("the run is held by who could not read it: %v", err)
	}
}
