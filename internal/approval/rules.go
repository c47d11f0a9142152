package approval

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Initiator stands in a list of accounts for the one that began the run.
const Initiator = "initiator"

// skew is how far a person's clock may be ahead of this one's.
const skew = 5 * time.Minute

// Rules are when a gate opens.
type Rules struct {
	Summary   string        // what is about to happen, for whoever decides
	Signers   Signers       // who belongs to which group; empty if the plan names no list
	From      []string      // accounts and groups that may approve; empty is everybody on the list, or everybody if there is none
	Not       []string      // accounts and groups that may not, or initiator
	Min       int           // different people that have to approve
	Expires   time.Duration // how long an approval counts
	Initiator string        // account that began the run
	Via       string        // the only way by which an approval counts; "" is every way
}

// An Ignored is a decision that counts for nothing.
type Ignored struct {
	By  string `json:"by"`  // whose it is, "unknown" if nobody can tell
	Why string `json:"why"` // the reason
}

// A Verdict is what the decisions on a gate come to.
type Verdict struct {
	Approvals []Decision // that count, one a person, oldest first
	Rejection *Decision  // the newest that stands; nil if none does
	Ignored   []Ignored
}

// Same tells whether two names are one account's or one group's: GitHub does not
// tell capitals from small letters in them, so nobody becomes two people by them.
func Same(a, b string) bool { return strings.EqualFold(a, b) }

// Has tells whether the account's approval counts already.
func (v Verdict) Has(by string) bool {
	return slices.ContainsFunc(v.Approvals, func(d Decision) bool { return Same(d.By, by) })
}

// Open tells whether the gate opens.
func (v Verdict) Open(r Rules) bool { return v.Rejection == nil && len(v.Approvals) >= r.Min }

// Judge weighs what people said of a gate, in the order in which it was heard. Of
// each person the last word counts, whatever its date: their clocks may differ.
// An approval counts if the person may give it, if it has not expired, and if
// what it rests on is still as it was. A rejection stands until whoever gave it
// approves. What was not said here, or not yet, is nobody's last word: a
// rejection stands beside it.
func (r Rules) Judge(decisions []Decision, now task.Basis, at time.Time) Verdict {
	var v Verdict
	last := map[string]int{} // by the account in small letters
	for i, d := range decisions {
		if why := elsewhere(d, now, at); why != "" {
			v.Ignored = append(v.Ignored, Ignored{By: d.By, Why: why})
			continue
		}
		last[strings.ToLower(d.By)] = i
	}
	for i, d := range decisions {
		if word, ok := last[strings.ToLower(d.By)]; !ok || word != i {
			continue
		}
		why := r.void(d, now, at)
		switch {
		case why != "":
			v.Ignored = append(v.Ignored, Ignored{By: d.By, Why: why})
		case d.Approved:
			v.Approvals = append(v.Approvals, d)
		default:
			v.Rejection = &d
		}
	}
	slices.SortStableFunc(v.Approvals, func(a, b Decision) int { return a.At.Compare(b.At) })
	return v
}

// elsewhere says why a decision is not one on this gate by now, "" if it is. A
// rejection is, whatever its date.
func elsewhere(d Decision, now task.Basis, at time.Time) string {
	switch {
	case d.Covers.Run != now.Run || d.Covers.Gate != now.Gate:
		return fmt.Sprintf("it is about gate %s of run %s", d.Covers.Gate, d.Covers.Run)
	case d.Approved && d.At.After(at.Add(skew)):
		return "it is dated " + d.At.Format(time.RFC3339) + ", which is in the future"
	}
	return ""
}

// void says why somebody's last word counts for nothing, "" if it counts.
func (r Rules) void(d Decision, now task.Basis, at time.Time) string {
	switch {
	case !d.Approved:
		return ""
	case at.Sub(d.since()) > r.Expires:
		return fmt.Sprintf("it expired %s after it was given", r.Expires)
	}
	if why := changed(d.Covers, now); why != "" {
		return why
	}
	if r.Via != "" && d.Via != r.Via {
		return fmt.Sprintf("it was given by way of %s, and only those of %s count", d.Via, r.Via)
	}
	return r.Bars(d.By)
}

// since is from when on a decision is counted: it can be dated ahead, its place in
// the journal cannot.
func (d Decision) since() time.Time {
	if !d.heard.IsZero() && d.heard.Before(d.At) {
		return d.heard
	}
	return d.At
}

// Bars says why an account may not approve, "" if it may.
func (r Rules) Bars(by string) string {
	person, listed := r.Signers.named(by)
	if len(r.From) == 0 && len(r.Signers) > 0 && !listed {
		return fmt.Sprintf("%s is not on the list of signers", by)
	}
	if len(r.From) > 0 && !slices.ContainsFunc(r.From, person.Is) {
		return fmt.Sprintf("%s is not among those who may approve", by)
	}
	for _, who := range r.Not {
		switch {
		case Same(who, Initiator) && Same(by, r.Initiator):
			return fmt.Sprintf("%s began the run, and may not approve it", by)
		case Same(who, Initiator) && r.unknown(by):
			return fmt.Sprintf("the run was begun by account %q, which is not on the list of signers: "+
				"whether that was %s cannot be known", r.Initiator, by)
		case person.Is(who):
			return fmt.Sprintf("%s is among those who may not approve (%s)", by, who)
		}
	}
	return ""
}

// unknown tells whether the one who began the run might be the person by all
// that is known: with a list of signers, accounts mean people only if they are
// on it.
func (r Rules) unknown(by string) bool {
	if len(r.Signers) == 0 {
		return r.Initiator == ""
	}
	_, initiator := r.Signers.named(r.Initiator)
	_, person := r.Signers.named(by)
	return !initiator || !person
}

// changed says what is not as it was when the approval was given, "" if nothing is.
func changed(before, now task.Basis) string {
	if before.Digest != now.Digest {
		return fmt.Sprintf("it covers plan digest %.12s, and the plan now has %.12s", before.Digest, now.Digest)
	}
	for _, step := range slices.Sorted(maps.Keys(before.Receipts)) {
		if now.Receipts[step] != before.Receipts[step] {
			return fmt.Sprintf("step %s has another receipt than the approver saw", step)
		}
	}
	for _, step := range slices.Sorted(maps.Keys(now.Receipts)) {
		if _, seen := before.Receipts[step]; !seen {
			return fmt.Sprintf("step %s has a receipt that the approver did not see", step)
		}
	}
	return ""
}
