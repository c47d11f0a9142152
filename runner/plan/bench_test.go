package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// long returns a plan of so many steps, in phases of ten, without a mistake.
func long(steps int) []byte {
	var b strings.Builder
	b.WriteString("version: 1\nname: long\nenv:\n  DSN: { secret: true }\nphases:\n")
	for i := range steps {
		if i%10 == 0 {
			fmt.Fprintf(&b, "  - name: phase-%d\n    summary: Part %d of the whole, in which things are done\n    irreversible: it is a test\n    steps:\n", i/10, i/10)
		}
		fmt.Fprintf(&b, `      - id: step-%d
        task: postgres/backup
        summary: Take a backup of the database before step %d
        timeout: 5m
        retry: { times: 3, wait: 10s }
        with:
          dsn: ${{ env.DSN }}
          to: backups/${{ run.id }}/%d.dump
          jobs: %d
          full: true
          largest: 5GiB
          tables: [users, drugs, wards]
`, i, i, i, i%16+1)
		if i > 0 {
			fmt.Fprintf(&b, "          optional: after ${{ steps.step-%d.file }}\n", i-1)
		}
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, steps := range []int{10, 1000, 10_000} {
		src := long(steps)
		b.Run(fmt.Sprint(steps), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ds := plan.Parse("long.yaml", src, plantest.Tasks()); len(ds) > 0 {
					b.Fatal(ds[0].Render())
				}
			}
		})
	}
}

// untyped is what a program would decode such a plan into with the YAML library
// alone: no positions, no references, no rules.
type untyped struct {
	Version int
	Name    string
	Env     map[string]map[string]any
	Phases  []struct {
		Name, Summary, Irreversible string
		Steps                       []struct {
			ID, Task, Summary, Timeout string
			Retry                      struct {
				Times int
				Wait  string
			}
			With map[string]any
		}
	}
}

// BenchmarkYAML is the floor that BenchmarkParse is measured against: the YAML
// library's nodes and a typed decode of them.
func BenchmarkYAML(b *testing.B) {
	for _, steps := range []int{10, 1000, 10_000} {
		src := long(steps)
		b.Run(fmt.Sprint(steps), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				var root yaml.Node
				var into untyped
				if err := yaml.Unmarshal(src, &root); err != nil {
					b.Fatal(err)
				}
				if err := root.Decode(&into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
