package peers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/rhysd/actionlint" // whose command is built below
)

// longPlan is a plan of so many steps, in phases of ten, without a mistake.
func longPlan(steps int) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: long\nenv:\n  DSN: { secret: true }\nphases:\n")
	for i := range steps {
		if i%10 == 0 {
			fmt.Fprintf(&b, "  - name: phase-%d\n    summary: Part %d of the whole, in which things are done\n    steps:\n", i/10, i/10)
		}
		fmt.Fprintf(&b, `      - id: step-%d
        task: postgres/assert
        summary: Count the rows of the table before step %d
        timeout: 5m
        retry: { times: 3, wait: 10s }
        with:
          dsn: ${{ env.DSN }}
          query: select count(*) from table_%d where run = '${{ run.id }}'
          timeout: 30s
          rows: 1
`, i, i, i)
		if i > 0 {
			fmt.Fprintf(&b, "          returns: ${{ steps.step-%d.value }}\n", i-1)
		}
	}
	return b.String()
}

// longWorkflow is a workflow of like size, in jobs of ten steps.
func longWorkflow(steps int) string {
	var b strings.Builder
	b.WriteString("name: long\non: push\njobs:\n")
	for i := range steps {
		if i%10 == 0 {
			fmt.Fprintf(&b, "  job-%d:\n    name: Part %d of the whole, in which things are done\n    runs-on: ubuntu-latest\n    steps:\n", i/10, i/10)
		}
		fmt.Fprintf(&b, `      - id: step-%d
        name: Count the rows of the table before step %d
        timeout-minutes: 5
        continue-on-error: false
        env:
          DSN: ${{ secrets.DSN }}
          QUERY: select count(*) from table_%d where run = '${{ github.run_id }}'
          TIMEOUT: 30s
          ROWS: 1
`, i, i, i)
		if i%10 > 0 {
			fmt.Fprintf(&b, "          RETURNS: ${{ steps.step-%d.outputs.value }}\n", i-1)
		}
		b.WriteString("        run: psql -c \"$QUERY\"\n")
	}
	return b.String()
}

// spent is what one call of a program took.
type spent struct {
	cpu, wall time.Duration
	peak      int64 // KiB
}

func call(b *testing.B, args []string) spent {
	b.Helper()
	var said bytes.Buffer
	program := exec.Command(args[0], args[1:]...)
	program.Stdout, program.Stderr = &said, &said
	start := time.Now()
	if err := program.Run(); err != nil {
		b.Fatalf("%s: %v\n%.2000s", args[0], err, said.String())
	}
	usage := program.ProcessState.SysUsage().(*syscall.Rusage)
	return spent{program.ProcessState.UserTime() + program.ProcessState.SystemTime(), time.Since(start), usage.Maxrss}
}

func build(b *testing.B, dir, name, pkg string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

func written(b *testing.B, name, text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkValidate compares whole processes, called in turn: phasegate validate
// and actionlint on files of like size, as multiples of the CPU time that the YAML
// library alone takes for the plan. The median of the calls counts.
func BenchmarkValidate(b *testing.B) {
	phasegate := build(b, "../..", "phasegate", ".")
	floor := build(b, ".", "floor", "./floor")
	actionlint := build(b, ".", "actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
	for _, size := range []struct{ steps, calls int }{{10, 21}, {1000, 9}, {10_000, 5}} {
		b.Run(fmt.Sprint(size.steps), func(b *testing.B) {
			plan := written(b, "plan.yaml", longPlan(size.steps))
			workflow := written(b, "workflow.yaml", longWorkflow(size.steps))
			contenders := map[string][]string{
				"phasegate":  {phasegate, "validate", plan},
				"floor":      {floor, plan},
				"actionlint": {actionlint, "-shellcheck=", "-pyflakes=", workflow},
			}
			var median map[string]spent
			for b.Loop() {
				median = contest(b, contenders, size.calls)
			}
			ours, theirs, least := median["phasegate"], median["actionlint"], median["floor"]
			b.ReportMetric(float64(ours.cpu)/float64(least.cpu), "x-floor")
			b.ReportMetric(float64(theirs.cpu)/float64(least.cpu), "actionlint-x-floor")
			b.ReportMetric(float64(ours.wall)/1e6, "wall-ms")
			b.ReportMetric(float64(least.cpu)/1e6, "floor-cpu-ms")
			b.ReportMetric(float64(ours.peak)/1024, "MiB")
			b.ReportMetric(float64(theirs.peak)/1024, "actionlint-MiB")
		})
	}
}

// contest calls each contender so often, in turn, and returns the median of each.
func contest(b *testing.B, contenders map[string][]string, calls int) map[string]spent {
	b.Helper()
	cpu, wall, peak := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string][]int64{}
	for range calls {
		for name, args := range contenders {
			s := call(b, args)
			cpu[name], wall[name], peak[name] = append(cpu[name], s.cpu), append(wall[name], s.wall), append(peak[name], s.peak)
		}
	}
	median := map[string]spent{}
	for name := range contenders {
		slices.Sort(cpu[name])
		slices.Sort(wall[name])
		slices.Sort(peak[name])
		median[name] = spent{cpu[name][calls/2], wall[name][calls/2], peak[name][calls/2]}
	}
	return median
}
