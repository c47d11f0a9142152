package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// ahead is how far the clock of the machine that rehearsed may be ahead of this one's.
const ahead = 5 * time.Minute

// Rehearsed opens when the journal proves that this very plan, with every file
// that it names, was rehearsed of late: one rehearsal that went to its end, and
// one that was rolled back after a phase that changes something was done.
// "phasegate rehearse" makes both, and leaves their
// journals where the run's own is kept. Until then the run ends waiting.
//
// A journal that was altered proves nothing. That nobody made one up, who may
// write where the journals are kept, is not proven.
//
// In a rehearsal itself there is nothing to look for, and the gate is passed over.
type Rehearsed struct {
	Within task.Age `with:"within"` // how long ago the rehearsals may have ended, such as 7d or 36h
}

// Proof is what was found of rehearsals.
type Proof struct {
	Digest       string `json:"digest"`         // SHA-256 of the plan and its files, in hex
	Since        string `json:"since"`          // what ended before is too old, RFC 3339 in UTC
	Done         string `json:"done"`           // newest run that was rehearsed to its end since then, "" if there is none
	DoneAt       string `json:"done_at"`        // when it ended, RFC 3339 in UTC
	RolledBack   string `json:"rolled_back"`    // newest run that was rehearsed and rolled back since then, "" if there is none
	RolledBackAt string `json:"rolled_back_at"` // when it ended, RFC 3339 in UTC
	OtherDigests int    `json:"other_digests"`  // rehearsals of the plan with another digest
	TooOld       int    `json:"too_old"`        // rehearsals of this digest before that
	InFuture     int    `json:"in_future"`      // rehearsals of this digest that end after now, by a clock that was ahead
	TooShort     int    `json:"too_short"`      // rehearsals of this digest that were rolled back before a phase that changes something was done
	Damaged      int    `json:"damaged"`        // rehearsals whose journal does not fit

	damage string // of the newest of those
}

// Validate holds that a rehearsal can be young enough.
func (r *Rehearsed) Validate() error {
	if r.Within <= 0 {
		return task.Hint(errors.New("within is nothing: no rehearsal could be young enough"), "write for how long one counts, such as 7d")
	}
	return nil
}

// Check looks for the rehearsals as Run does.
func (r *Rehearsed) Check(ctx context.Context, env *task.Env) error {
	_, err := r.Run(ctx, env)
	if _, skipped := errors.AsType[*task.SkipError](err); skipped {
		return nil
	}
	return err
}

// Run looks for the rehearsals.
func (r *Rehearsed) Run(ctx context.Context, env *task.Env) (Proof, error) {
	if ctx.Err() != nil {
		return Proof{}, context.Cause(ctx)
	}
	now := time.Now()
	since := now.Add(-time.Duration(r.Within))
	proof := Proof{Digest: env.Basis.Digest, Since: since.UTC().Format(time.RFC3339)}
	if env.Rehearsing {
		return proof, task.Skip("this is the rehearsal")
	}
	if env.Rehearsals == nil {
		return proof, fmt.Errorf("no journal to look for rehearsals in: %w", task.ErrClosed)
	}
	found, err := env.Rehearsals(ctx)
	if err != nil {
		return proof, err
	}
	for _, rehearsal := range found {
		proof.weigh(rehearsal, since, now)
	}
	if proof.Done != "" && proof.RolledBack != "" {
		return proof, nil
	}
	return proof, task.Hint(fmt.Errorf("%s: %w", proof.lacks(r.Within), task.ErrClosed),
		fmt.Sprintf("phasegate rehearse %s, with the same --journal, then go on with the run", env.PlanFile))
}

// weigh takes one rehearsal in. They come newest first.
func (p *Proof) weigh(r task.Rehearsal, since, now time.Time) {
	at := r.Ended.UTC().Format(time.RFC3339)
	switch {
	case r.Damage != "":
		if p.Damaged++; p.damage == "" {
			p.damage = r.Damage
		}
	case r.Digest != p.Digest:
		p.OtherDigests++
	case r.Ended.Before(since):
		p.TooOld++
	case r.Ended.After(now.Add(ahead)):
		p.InFuture++
	case r.Status == "rolled_back" && !r.Worked:
		p.TooShort++
	case r.Status == "done" && p.Done == "":
		p.Done, p.DoneAt = r.Run, at
	case r.Status == "rolled_back" && p.RolledBack == "":
		p.RolledBack, p.RolledBackAt = r.Run, at
	}
}

// lacks says what is missing, and what was found that is not enough.
func (p *Proof) lacks(within task.Age) string {
	what := fmt.Sprintf("plan digest %.12s was not rehearsed within %s", p.Digest, within)
	switch {
	case p.Done != "":
		what = fmt.Sprintf("plan digest %.12s was rehearsed to its end at %s, and no rehearsal within %s was rolled back",
			p.Digest, p.DoneAt, within)
	case p.RolledBack != "":
		what = fmt.Sprintf("a rehearsal of plan digest %.12s was rolled back at %s, and none within %s went to its end",
			p.Digest, p.RolledBackAt, within)
	}
	var seen []string
	if p.TooOld > 0 {
		seen = append(seen, fmt.Sprintf("%d ended before that", p.TooOld))
	}
	if p.InFuture > 0 {
		seen = append(seen, fmt.Sprintf("%d ended in the future, by this clock", p.InFuture))
	}
	if p.TooShort > 0 {
		seen = append(seen, fmt.Sprintf("%d was rolled back before a phase that changes something was done", p.TooShort))
	}
	if p.OtherDigests > 0 {
		seen = append(seen, fmt.Sprintf("%d had another digest: the plan or a file of it was changed since", p.OtherDigests))
	}
	if p.Damaged > 0 {
		seen = append(seen, fmt.Sprintf("%d cannot be believed: %s", p.Damaged, p.damage))
	}
	if len(seen) == 0 {
		return what
	}
	return what + " (" + strings.Join(seen, "; ") + ")"
}
