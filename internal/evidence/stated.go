package evidence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// stated holds what people signed about gates against their signatures, the run,
// the receipts that it rests on, and the plan's lists of signers; and what gates
// say was signed against that. Whether it opened the gate is in the gate's receipt.
func stated(events []journal.Event, state *journal.State, lists Lists) []Finding {
	var findings []Finding
	past := &journal.State{}
	shown := map[string][]map[string]string{} // sums of the receipts at each look of a gate
	signed := map[string][]approval.Decision{}
	for _, e := range events {
		past.Apply(e)
		switch {
		case e.Type == journal.Stated:
			d, f := lists.statement(e, state.Digest, append(shown[e.Step], past.ReceiptSums(e.Phase)))
			findings, signed[e.Step] = append(findings, f), append(signed[e.Step], d)
		case e.Type == journal.StepFinished && e.Kind == journal.KindGate:
			findings = append(findings, unsigned(e, signed[e.Step])...)
			shown[e.Step] = append(shown[e.Step], past.ReceiptSums(e.Phase))
		}
	}
	return findings
}

// statement holds one of them against what it is about. Shown are the receipts
// that can have been before whoever signed it.
func (l Lists) statement(e journal.Event, digest string, shown []map[string]string) (approval.Decision, Finding) {
	f := Finding{What: "approval", Result: Differs, Event: e.Seq, Step: e.Step}
	said := task.Statement{Text: e.Statement, Signature: e.Signature, Time: e.Time}
	d, key, err := approval.Verify(said)
	seen := func(sums map[string]string) bool { return maps.Equal(sums, d.Covers.Receipts) }
	switch {
	case err != nil:
		f.Detail = err.Error()
	case d.Covers.Run != e.Run || d.Covers.Gate != e.Step || d.Covers.Digest != digest:
		f.Detail = fmt.Sprintf("%s by %s is about gate %s of run %s with plan digest %.12s",
			kindOf(d), d.By, d.Covers.Gate, d.Covers.Run, d.Covers.Digest)
	case !slices.ContainsFunc(shown, seen):
		f.Detail = fmt.Sprintf("%s by %s rests on other receipts than the journal has", kindOf(d), d.By)
	default:
		var whose string
		f.Result, whose = l.whose(said, d.By, key)
		f.Detail = fmt.Sprintf("%s in the name of %s, with a valid signature of key %s, %s; the gate's receipt says whether it counts",
			kindOf(d), d.By, ssh.FingerprintSHA256(key), whose)
	}
	return d, f
}

// unsigned finds the decisions in a gate's receipt that are said to be signed and
// that nobody signed before.
func unsigned(e journal.Event, signed []approval.Decision) []Finding {
	var receipt struct {
		Decisions []approval.Decision `json:"decisions"`
	}
	_ = json.Unmarshal(e.Receipt, &receipt) // of another kind of gate
	var findings []Finding
	for _, d := range receipt.Decisions {
		same := func(s approval.Decision) bool {
			return s.By == d.By && s.At.Equal(d.At) && s.Approved == d.Approved
		}
		if d.Via == approval.ViaSSH && !slices.ContainsFunc(signed, same) {
			findings = append(findings, Finding{
				What: "approval", Result: Differs, Event: e.Seq, Step: e.Step,
				Detail: fmt.Sprintf("the gate's receipt has %s that %s is said to have signed, and no such signature is in the journal", kindOf(d), d.By),
			})
		}
	}
	return findings
}

func kindOf(d approval.Decision) string {
	if d.Approved {
		return "an approval"
	}
	return "a rejection"
}

// Lists are the lists of signers among a plan's files, by their names in its digest.
type Lists map[string]approval.Signers

// maxList is how large a file may be that is taken for a list of signers.
const maxList = 1 << 20

// ListsOf returns the lists of signers among the plan's files as they are now.
func ListsOf(p *plan.Plan) Lists {
	lists := Lists{}
	for name, path := range p.Named() {
		file, err := os.Open(path)
		if err != nil {
			continue // the plan's digest says so
		}
		content, err := io.ReadAll(io.LimitReader(file, maxList+1))
		_ = file.Close()
		if err == nil {
			lists.add(name, content)
		}
	}
	return lists
}

func (l Lists) add(name string, content []byte) {
	if signers, err := approval.ParseSigners(name, content); err == nil && len(content) <= maxList {
		l[name] = signers
	}
}

// whose says whose key it is that signed in the name of by. Nothing vouches for
// one that is on no list; one that is somebody else's differs.
func (l Lists) whose(said task.Statement, by string, key ssh.PublicKey) (Result, string) {
	var why error
	for _, name := range slices.Sorted(maps.Keys(l)) {
		signer, ok := l[name].ByKey(key)
		if ok && signer.Name != by {
			return Differs, fmt.Sprintf("which is that of %s in %s", signer.Name, name)
		}
		_, _, err := approval.Read(said, l[name])
		if err == nil {
			return Fits, fmt.Sprintf("which is that of %s in %s", signer.Name, name)
		}
		if ok {
			why = cmp.Or(why, err)
		}
	}
	if why != nil {
		return Unproven, fmt.Sprintf("which did not count then (%v)", why)
	}
	return Unproven, "which is on no list of signers among the plan's files"
}
