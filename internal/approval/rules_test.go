package approval_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
)

// staff is alice and bob of the group dba, and carol of the group pharmacy.
func staff(t *testing.T) approval.Signers {
	t.Helper()
	var keys [3]ssh.Signer
	for i := range keys {
		keys[i], _ = newKey(t)
	}
	return read(t, listed(t,
		"alice,dba "+authorized(keys[0]), "bob,dba "+authorized(keys[1]), "carol,pharmacy "+authorized(keys[2])))
}

func reject(by string) approval.Decision {
	d := approve(by)
	d.Approved, d.Reason = false, "not tonight"
	return d
}

// later returns the decision, made that much later.
func later(d approval.Decision, by time.Duration) approval.Decision {
	d.At = d.At.Add(by)
	return d
}

func TestAGateOpensByTheRulesOfItsPlan(t *testing.T) {
	t.Parallel()
	signers := staff(t)
	covering := func(d approval.Decision, change func(*task.Basis)) approval.Decision {
		b := basis()
		change(&b)
		d.Covers = b
		return d
	}
	for _, c := range []struct {
		name    string
		rules   approval.Rules
		said    []approval.Decision
		open    bool
		ignored string // part of why one is ignored
	}{
		{name: "nobody said anything", rules: approval.Rules{Min: 1}},
		{name: "one of one", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("alice")}, open: true},
		{name: "one of two", rules: approval.Rules{Min: 2}, said: []approval.Decision{approve("alice")}},
		{name: "the same person twice", rules: approval.Rules{Min: 2}, said: []approval.Decision{approve("alice"), later(approve("alice"), time.Second)}},
		{name: "the same person twice, once in capitals", rules: approval.Rules{Min: 2}, said: []approval.Decision{approve("alice"), later(approve("Alice"), time.Second)}},
		{name: "a rejection taken back in capitals", rules: approval.Rules{Min: 1}, said: []approval.Decision{reject("bob"), approve("Bob")}, open: true},
		{name: "two people", rules: approval.Rules{Min: 2}, said: []approval.Decision{approve("alice"), approve("bob")}, open: true},
		{name: "of the group", rules: approval.Rules{Min: 1, From: []string{"dba"}}, said: []approval.Decision{approve("bob")}, open: true},
		{name: "of another group", rules: approval.Rules{Min: 1, From: []string{"dba"}}, said: []approval.Decision{approve("carol")}, ignored: "not among those who may"},
		{name: "by name", rules: approval.Rules{Min: 1, From: []string{"carol"}}, said: []approval.Decision{approve("carol")}, open: true},
		{name: "a group that may not", rules: approval.Rules{Min: 1, Not: []string{"dba"}}, said: []approval.Decision{approve("alice")}, ignored: "may not approve (dba)"},
		{name: "the initiator", rules: approval.Rules{Min: 1, Not: []string{"initiator"}, Initiator: "alice"}, said: []approval.Decision{approve("alice")}, ignored: "began the run"},
		{name: "the initiator in capitals", rules: approval.Rules{Min: 1, Not: []string{"Initiator"}, Initiator: "Alice"}, said: []approval.Decision{approve("alice")}, ignored: "began the run"},
		{name: "who may not, in capitals", rules: approval.Rules{Min: 1, Not: []string{"Bob"}}, said: []approval.Decision{approve("bob")}, ignored: "may not approve (Bob)"},
		{name: "a group that may not, in capitals", rules: approval.Rules{Min: 1, Not: []string{"DBA"}}, said: []approval.Decision{approve("alice")}, ignored: "may not approve (DBA)"},
		{name: "of the group in capitals", rules: approval.Rules{Min: 1, From: []string{"DBA"}}, said: []approval.Decision{approve("bob")}, open: true},
		{name: "typed where only reviews count", rules: approval.Rules{Min: 1, Via: approval.ViaGitHub}, said: []approval.Decision{approve("bob")}, ignored: "only those of github count"},
		{name: "not the initiator", rules: approval.Rules{Min: 1, Not: []string{"initiator"}, Initiator: "alice"}, said: []approval.Decision{approve("bob")}, open: true},
		{name: "an initiator who may be anybody", rules: approval.Rules{Min: 1, Not: []string{"initiator"}, Initiator: "root"}, said: []approval.Decision{approve("bob")}, ignored: "cannot be known"},
		{name: "an initiator who is not in the journal", rules: approval.Rules{Min: 1, Not: []string{"initiator"}}, said: []approval.Decision{approve("bob")}, ignored: "cannot be known"},
		{name: "expired", rules: approval.Rules{Min: 1}, said: []approval.Decision{later(approve("alice"), -2*time.Hour)}, ignored: "expired 1h0m0s after"},
		{name: "in the future", rules: approval.Rules{Min: 1}, said: []approval.Decision{later(approve("alice"), time.Hour)}, ignored: "in the future"},
		{
			name: "another plan", rules: approval.Rules{Min: 1}, ignored: "covers plan digest 000",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) { b.Digest = strings.Repeat("0", 64) })},
		},
		{
			name: "another receipt", rules: approval.Rules{Min: 1}, ignored: "step backup has another receipt",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) { b.Receipts = map[string]string{"backup": "00"} })},
		},
		{
			name: "a receipt that was not there", rules: approval.Rules{Min: 1}, ignored: "step backup has a receipt that the approver did not see",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) { b.Receipts = nil })},
		},
		{
			name: "a receipt that is not there any more", rules: approval.Rules{Min: 1}, ignored: "step drill has another receipt",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) {
				b.Receipts = map[string]string{"backup": b.Receipts["backup"], "drill": "00"}
			})},
		},
		{
			name: "another run", rules: approval.Rules{Min: 1}, ignored: "it is about gate approve-schema of run run-0",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) { b.Run = "run-0" })},
		},
		{
			name: "another gate", rules: approval.Rules{Min: 1}, ignored: "it is about gate approve-users",
			said: []approval.Decision{covering(approve("alice"), func(b *task.Basis) { b.Gate = "approve-users" })},
		},
		{
			name: "rejected, and an approval of another run was copied in", rules: approval.Rules{Min: 1}, ignored: "of run run-0",
			said: []approval.Decision{
				reject("alice"), approve("bob"),
				covering(later(approve("alice"), time.Second), func(b *task.Basis) { b.Run = "run-0" }),
			},
		},
		{
			name: "rejected after an approval by a clock that was ahead", rules: approval.Rules{Min: 1}, ignored: "in the future",
			said: []approval.Decision{later(approve("alice"), time.Hour), reject("alice"), approve("bob")},
		},
		{
			name: "approved again after a clock was set right", rules: approval.Rules{Min: 1}, open: true, ignored: "in the future",
			said: []approval.Decision{later(approve("alice"), time.Hour), approve("alice")},
		},
		{name: "an account that is on no list", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("root")}, ignored: "root is not on the list"},
		{name: "an account that is on no list and that the plan names", rules: approval.Rules{Min: 1, From: []string{"root"}}, said: []approval.Decision{approve("root")}, open: true},
		{name: "rejected, whoever approved", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("alice"), reject("bob")}},
		{name: "rejected by the initiator", rules: approval.Rules{Min: 1, Not: []string{"initiator"}, Initiator: "alice"}, said: []approval.Decision{approve("bob"), reject("alice")}},
		{name: "a rejection taken back", rules: approval.Rules{Min: 1}, said: []approval.Decision{reject("bob"), later(approve("bob"), time.Second)}, open: true},
		{name: "an approval taken back", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("bob"), later(reject("bob"), time.Second)}},
		{name: "a rejection by a clock that was ahead, taken back", rules: approval.Rules{Min: 1}, said: []approval.Decision{later(reject("bob"), 24*time.Hour), approve("bob")}, open: true},
		{name: "an approval taken back by a clock that is behind", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("bob"), later(reject("bob"), -time.Minute)}},
		{name: "a rejection does not expire", rules: approval.Rules{Min: 1}, said: []approval.Decision{approve("alice"), later(reject("bob"), -9*time.Hour)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rules.Signers, c.rules.Expires = signers, time.Hour
			verdict := c.rules.Judge(c.said, basis(), time.Now())
			if verdict.Open(c.rules) != c.open {
				t.Errorf("open is %t: %+v", !c.open, verdict)
			}
			found := slices.ContainsFunc(verdict.Ignored, func(i approval.Ignored) bool { return strings.Contains(i.Why, c.ignored) })
			if c.ignored != "" && !found || c.ignored == "" && len(verdict.Ignored) > 0 {
				t.Errorf("ignored %+v, want %q", verdict.Ignored, c.ignored)
			}
		})
	}
}

// Where the plan names no list, accounts are all that is known of people. A run
// of an earlier phasegate does not tell who began it.
func TestAnUnknownInitiatorMayBeAnybodyAlsoWithoutAList(t *testing.T) {
	t.Parallel()
	rules := approval.Rules{Min: 1, Not: []string{approval.Initiator}, Expires: time.Hour}
	if why := rules.Bars("bob"); !strings.Contains(why, "cannot be known") {
		t.Errorf("bob may approve a run of nobody: %q", why)
	}
	rules.Initiator = "alice"
	if why := rules.Bars("bob"); why != "" {
		t.Errorf("bob may not approve what alice began: %s", why)
	}
}
