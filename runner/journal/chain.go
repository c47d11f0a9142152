package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Verify holds that lines are the whole journal of run up to some event: each
// one numbered, and tied to the bytes of the one before. It returns the events
// up to the first that does not fit, which the *DamagedError names, or up to a
// session whose contract is unknown here, with a *ContractError.
//
// A journal that was cut off after an event fits up to there. What was cut off
// is known only to a store that keeps the end elsewhere, as [Postgres] does, or
// to whoever noted the last event's hash.
func Verify(run string, lines [][]byte) ([]Event, error) {
	events := make([]Event, 0, len(lines))
	_, err := follow(run, lines, func(e Event) { events = append(events, e) })
	return events, err
}

// follow is Verify, with a call for each event, and returns where the chain goes on.
func follow(run string, lines [][]byte, each func(Event)) (chain, error) {
	var links chain
	var event Event // one for all lines: json has it on the heap
	for i, line := range lines {
		event = Event{}
		err := links.verify(run, line, &event)
		if foreign, ok := errors.AsType[*ContractError](err); ok {
			return links, foreign
		}
		if err != nil {
			return links, &DamagedError{Run: run, Line: i + 1, Err: err}
		}
		each(event)
	}
	return links, nil
}

// A DamagedError says where a journal stopped making sense.
type DamagedError struct {
	Run  string
	Line int // 1, 2, ...
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("journal of run %s is damaged at event %d: %v", e.Run, e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// chain numbers events and ties each to the bytes of the one before.
type chain struct {
	seq  int64
	prev string
}

// seal completes an event and returns the line that stands for it.
func (c *chain) seal(e *Event) ([]byte, error) {
	e.Seq, e.Prev = c.seq+1, c.prev
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if !utf8.Valid(line) { // a raw receipt may hold anything between its quotes
		line = bytes.ToValidUTF8(line, []byte("\uFFFD"))
	}
	c.advance(line)
	return line, nil
}

// sealAll seals events in order.
func (c *chain) sealAll(events []Event) ([][]byte, error) {
	lines := make([][]byte, len(events))
	for i := range events {
		line, err := c.seal(&events[i])
		if err != nil {
			return nil, err
		}
		lines[i] = line
	}
	return lines, nil
}

// verify reads a line that must be the next one of the run's chain into e.
func (c *chain) verify(run string, line []byte, e *Event) error {
	err := json.Unmarshal(line, e)
	if e.Contract != "" && !Reads(e.Contract) { // its other fields may mean anything
		return &ContractError{Run: run, Contract: e.Contract}
	}
	if err != nil {
		return err
	}
	if e.Run != run {
		return fmt.Errorf("it is of run %q", e.Run)
	}
	if e.Seq != c.seq+1 {
		return fmt.Errorf("it is numbered %d, not %d", e.Seq, c.seq+1)
	}
	if e.Prev != c.prev {
		return fmt.Errorf("it does not carry the SHA-256 of event %d: one of the two was altered after it was written", c.seq)
	}
	c.advance(line)
	return nil
}

func (c *chain) advance(line []byte) {
	sum := sha256.Sum256(line)
	c.seq, c.prev = c.seq+1, hex.EncodeToString(sum[:])
}
