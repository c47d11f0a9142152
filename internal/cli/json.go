package cli

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/medlogistics/phasegate/runner/journal"
)

// eventLines are a run's events on the way to the standard output, one a line. The
// run does not wait for who reads them: a reader that stops must not stop a
// cut-over in the middle of its window.
type eventLines struct {
	app *app

	mu      sync.Mutex
	waiting bytes.Buffer
	more    chan struct{} // has one when something waits or all has been said
	ended   bool
	written chan struct{} // closed when nothing will be written any more
}

// jsonLines begins to write events. The first one is always opened, with the
// version of the contract.
func (a *app) jsonLines() *eventLines {
	a.stdout.whole = "the run's journal has every event: phasegate status shows where the run stands"
	l := &eventLines{app: a, more: make(chan struct{}, 1), written: make(chan struct{})}
	go l.write()
	return l
}

func (l *eventLines) observe(e journal.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(&l.waiting).Encode(e); err != nil {
		l.app.log.Warn("event not written to standard output", "seq", e.Seq, "reason", err.Error())
	}
	l.wake()
}

// close waits until the reader has taken what is left, or is gone.
func (l *eventLines) close() {
	l.mu.Lock()
	l.ended = true
	l.wake()
	l.mu.Unlock()
	<-l.written
}

func (l *eventLines) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *eventLines) write() {
	defer close(l.written)
	for range l.more {
		l.mu.Lock()
		lines, ended := bytes.Clone(l.waiting.Bytes()), l.ended
		l.waiting.Reset()
		l.mu.Unlock()
		_, _ = l.app.Out.Write(lines) // what cannot be written is told when the call ends
		if ended {
			return
		}
	}
}

func both(first, second func(journal.Event)) func(journal.Event) {
	return func(e journal.Event) {
		first(e)
		second(e)
	}
}
