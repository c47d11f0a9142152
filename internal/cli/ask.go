package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A dialog is a person at a terminal, whatever the standard streams are.
type dialog struct {
	lines *bufio.Reader
	to    io.Writer
}

// ask shows what is about to happen and puts a gate's question to the person.
func (v *view) ask(ctx context.Context, at runner.Place, q task.Question) (task.Answer, error) {
	v.pause(true)
	defer v.pause(false)
	person := v.app.person
	if v.announced != at.Phase.Name {
		v.announced = at.Phase.Name
		announce(person.to, at.Phase)
	}
	if err := v.showRests(ctx, at.Step.ID, q.Rests); err != nil {
		return task.Answer{}, err
	}
	if q.Want == "" {
		fmt.Fprintf(person.to, "%s ", q.Text)
	} else {
		fmt.Fprintf(person.to, "%s\nType %q to go on, %q to stop: ", q.Text, q.Want, q.No)
	}
	line, err := person.read(ctx)
	if err != nil {
		return task.Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return task.Answer{Text: strings.TrimSpace(line), By: v.app.Account}, nil
}

// showRests shows what the answer rests on, once a gate: an earlier call of the
// run, perhaps on another day and at another terminal, found it.
func (v *view) showRests(ctx context.Context, gate string, steps []string) error {
	if v.rested == gate || len(steps) == 0 {
		return nil
	}
	v.rested = gate
	v.mu.Lock()
	run := v.opened.Run
	v.mu.Unlock()
	store, err := v.app.store(ctx)
	if err != nil {
		return err
	}
	state, err := runner.Status(ctx, store, run)
	if err != nil {
		return fmt.Errorf("read what the answer rests on: %w", err)
	}
	showReceipts(v.app.person.to, state, steps)
	fmt.Fprintln(v.app.person.to)
	return nil
}

// showReceipts shows what steps left, a line each.
func showReceipts(w io.Writer, state *journal.State, steps []string) {
	fmt.Fprintln(w, "What was done before it, and what that left:")
	receipts := state.Receipts()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, id := range steps {
		fmt.Fprintf(table, "  %s\t%s\n", id, essence(receipts[id]))
	}
	_ = table.Flush()
}

// announce lists what a yes sets going.
func announce(w io.Writer, phase *plan.Phase) {
	fmt.Fprintf(w, "\nAbout to begin: %s  %s\n", phase.Name, phase.Summary)
	list(w, phase.Steps)
	switch {
	case len(phase.Rollback) > 0 && phase.OnFailure == plan.Rollback:
		fmt.Fprintln(w, "If it fails, it is taken back at once by:")
	case len(phase.Rollback) > 0:
		fmt.Fprintln(w, "It can be taken back by:")
	case phase.Irreversible != "":
		fmt.Fprintf(w, "It is not taken back: %s\n", phase.Irreversible)
	}
	list(w, phase.Rollback)
	if phase.Downtime > 0 {
		fmt.Fprintf(w, "Users may be without the service for %s at most.\n", span(phase.Downtime))
	}
	fmt.Fprintln(w)
}

func list(w io.Writer, steps []plan.Step) {
	for _, step := range steps {
		about := step.Summary
		if about == "" {
			about = step.Task.Name
		}
		fmt.Fprintf(w, "  %-22s %s\n", step.ID, about)
	}
}

// read reads one line, or returns when the context ends. The reader is then left
// with a read that nobody waits for: the process is about to end.
func (d *dialog) read(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := d.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
