package cli

import (
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

func TestARunKeepsItsProcessorsUnlessAllItsTasksWait(t *testing.T) {
	t.Parallel()
	const query = `task: postgres/assert, with: { dsn: "${{ env.DSN }}", query: select 1, returns: "1" }`
	const start = "version: 1\nname: p\nenv:\n  DSN: { secret: true }\nphases:\n  - name: only\n"
	const still = "    irreversible: it changes nothing\n"
	for name, c := range map[string]struct {
		rest string
		want bool
	}{
		"programs":            {still + "    steps: [{ id: a, task: host/command, with: { argv: [/bin/true] } }]\n", true},
		"programs and a gate": {still + "    gates: [{ id: g, task: gate/checklist, with: { items: [ready] } }]\n    steps: [{ id: a, task: host/command, with: { argv: [/bin/true] } }]\n", true},
		"a query":             {still + "    steps: [{ id: a, task: host/command, with: { argv: [/bin/true] } }, { id: b, " + query + " }]\n", false},
		"a hook's query":      {"    steps: [{ id: a, task: host/command, with: { argv: [/bin/true] } }]\n    rollback: [{ id: b, " + query + " }]\n", false},
	} {
		p, findings := plan.Parse("plan.yaml", []byte(start+c.rest), tasks.All())
		if p == nil {
			t.Fatalf("%s: %v", name, findings)
		}
		if onlyWaits(p) != c.want {
			t.Errorf("%s: only waiting is %t", name, !c.want)
		}
	}
}
