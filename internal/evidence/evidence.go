// Package evidence says whether what a run left behind still fits together: its
// journal, its plan, and the files that its receipts name. It also packs all of
// that into one file, a bundle, which proves the same on a machine that has
// nothing else.
//
// What is claimed is what was seen. A chain of hashes shows that nothing inside
// it was altered; it does not show who wrote it, nor that its end was not cut
// off. Whoever needs that keeps the hash of the last event, or of a bundle,
// where the run's own machine cannot write, and asks for it.
package evidence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/medlogistics/phasegate/runner/journal"
)

// A Result is what a look at one thing showed.
type Result string

// The results.
const (
	Fits     Result = "fits"     // it is what the journal says
	Differs  Result = "differs"  // it is not
	Missing  Result = "missing"  // it is not there to be looked at
	Unproven Result = "unproven" // it is there, and nothing vouches for it
)

// A Finding is one thing that was looked at.
type Finding struct {
	What   string `json:"what"`            // journal, end, expected, plan, approval, file or manifest
	Result Result `json:"result"`          // what the look showed
	Event  int64  `json:"event,omitempty"` // the event that says what it should be, 0 if none does
	Step   string `json:"step,omitempty"`  // whose receipt names the file
	Path   string `json:"path,omitempty"`  // of the plan or the file
	Detail string `json:"detail"`          // for people
}

// A Report is what an audit found.
type Report struct {
	Run       string         `json:"run"`                 // its name
	Plan      string         `json:"plan"`                // its name
	Digest    string         `json:"digest"`              // SHA-256 of the plan and its files, in hex
	Rehearsal bool           `json:"rehearsal,omitempty"` // it worked on a sandbox
	Status    journal.Status `json:"status"`              // as the events up to the first that does not fit leave it
	Events    int64          `json:"events"`              // number of events that fit
	Last      string         `json:"last"`                // SHA-256 of the last of them, in hex
	Bundle    string         `json:"bundle,omitempty"`    // SHA-256 of the bundle that was looked at, in hex
	Fits      bool           `json:"fits"`                // nothing differs
	Findings  []Finding      `json:"findings"`            // all that was looked at
}

// First returns the finding at the first event that does not fit, or what else
// differs, or nil.
func (r *Report) First() *Finding {
	var first *Finding
	for i, f := range r.Findings {
		if f.Result != Differs {
			continue
		}
		if first == nil || first.Event == 0 || 0 < f.Event && f.Event < first.Event {
			first = &r.Findings[i]
		}
	}
	return first
}

// Count returns the number of findings with one of the results.
func (r *Report) Count(results ...Result) (n int) {
	for _, f := range r.Findings {
		if slices.Contains(results, f.Result) {
			n++
		}
	}
	return n
}

// A Record is what is left of a run.
type Record struct {
	Run   string
	Lines [][]byte // of its journal, as [journal.Store] returns them
	End   End
	Plan  Plan
	Files Files

	// Expect is the SHA-256 of an event, in hex, that was noted where whoever
	// could alter the journal cannot write. "" if none was.
	Expect string
}

// An End is what the journal's store knows of it besides its lines.
type End struct {
	Kept   bool  // the store notes where the journal ends
	Damage error // that the store found, a *journal.DamagedError
	Held   bool  // a process is at work on the run
}

// A Plan is the plan as it is found now.
type Plan struct {
	Path   string
	Digest string            // SHA-256 of the plan and its files, in hex
	Files  map[string]string // SHA-256 of each of them, as [plan.Plan.Sums] has them; nil where that is not known
	Lists  Lists             // of signers, among them
	Absent error             // why there is none to be looked at
	Broken error             // why it has no digest: it is no plan, or a file that it names is gone
}

// Look holds what is left of a run against its journal. The error is that of
// ctx, which ends the reading of files, or a *[journal.ContractError].
func Look(ctx context.Context, r Record) (*Report, error) {
	events, findings, err := r.journal()
	if err != nil {
		return nil, err
	}
	report := &Report{Run: r.Run, Findings: findings, Events: int64(len(events))}
	if state := journal.Fold(events); state != nil {
		report.Plan, report.Digest, report.Status, report.Rehearsal = state.Plan, state.Digest, state.Status, state.Rehearsal
		if state.Status == journal.Running && !r.End.Held {
			report.Status = journal.Interrupted // nobody said goodbye
		}
		report.Last = hexSum(r.Lines[len(events)-1])
		report.Findings = append(report.Findings, r.end(events, report.Last))
		if r.Expect != "" {
			report.Findings = append(report.Findings, r.expected(events))
		}
		report.Findings = append(report.Findings, r.plan(events))
		lists := r.Plan.Lists
		if r.Plan.Digest != state.Digest {
			lists = nil // they are those of another plan
		}
		report.Findings = append(report.Findings, stated(events, state, lists)...)
	}
	for _, c := range claims(events) {
		found, err := c.look(ctx, r.Files)
		if err != nil {
			return nil, err
		}
		report.Findings = append(report.Findings, found)
	}
	report.Fits = report.Count(Differs) == 0
	return report, nil
}

// byEvent sorts what receipts claim as the journal tells it.
func byEvent(a, b claim) int {
	return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.field, b.field))
}

func hexSum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
