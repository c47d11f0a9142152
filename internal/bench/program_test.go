package bench

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// build makes a static program as `make build` does, and returns the path of a copy,
// which is what people install: the pages of the linker's own file lie scattered in
// the system's memory, and each start of it takes a fifth longer. Dir is where its
// module is, from the root of the repository.
func build(b *testing.B, dir, pkg string) string {
	b.Helper()
	linked := filepath.Join(b.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", linked, pkg)
	cmd.Dir = filepath.Join("..", "..", dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v\n%s", pkg, err, output)
	}
	program := filepath.Join(b.TempDir(), filepath.Base(pkg))
	if output, err := exec.CommandContext(b.Context(), "cp", linked, program).CombinedOutput(); err != nil {
		b.Fatalf("copy %s: %v\n%s", pkg, err, output)
	}
	return program
}

// phasegate and goTask build the programs of that name.
func phasegate(b *testing.B) string { return build(b, "", "github.com/medlogistics/phasegate") }

func goTask(b *testing.B) string {
	return build(b, "tools/go-task", "github.com/go-task/task/v3/cmd/task")
}

// A contender is one call that is measured again and again.
type contender struct {
	name string
	argv []string
	dir  string

	wall, cpu []time.Duration
	peak      int64 // resident bytes, the most of all calls
}

// installed returns the contenders whose program is there, and says which is not.
func installed(b *testing.B, all ...*contender) []*contender {
	return slices.DeleteFunc(all, func(c *contender) bool {
		_, err := exec.LookPath(c.argv[0])
		if err != nil {
			b.Logf("%s is not installed, so not measured", c.name)
		}
		return err != nil
	})
}

// interleave calls each contender once in each of so many rounds, in an order that
// changes: what else the machine does meets all of them alike, and so does what the
// one before has pushed out of the processor's caches.
func interleave(b *testing.B, rounds int, contenders []*contender) {
	b.Helper()
	for range rounds {
		for _, i := range rand.Perm(len(contenders)) {
			contenders[i].call(b)
		}
	}
}

// call runs the program to its end. Its CPU time is that of all processes that
// it waited for.
func (c *contender) call(b *testing.B) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	began := time.Now()
	err := cmd.Run()
	c.wall = append(c.wall, time.Since(began))
	if err != nil {
		b.Fatalf("%s: %v\n%s", c.name, err, again(b.Context(), c))
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c.cpu = append(c.cpu, time.Duration(used.Utime.Nano()+used.Stime.Nano()))
	c.peak = max(c.peak, int64(used.Maxrss)<<10) // Linux counts in KiB: getrusage(2)
}

// again returns what a call that fails has to say: a measured one writes nowhere.
func again(ctx context.Context, c *contender) []byte {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	output, _ := cmd.CombinedOutput()
	return output
}

func median(of []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return float64(sorted[len(sorted)/2])
}

// report gives the metrics of ours, and its ratios to the others.
func report(b *testing.B, ours *contender, others []*contender) {
	b.Helper()
	b.ReportMetric(median(ours.wall)/1e6, ours.name+"-wall-ms")
	b.ReportMetric(median(ours.cpu)/1e6, ours.name+"-cpu-ms")
	for _, c := range others {
		if c != ours {
			b.ReportMetric(median(ours.wall)/median(c.wall), ours.name+"-wall/"+c.name)
			b.ReportMetric(median(ours.cpu)/median(c.cpu), ours.name+"-cpu/"+c.name)
		}
	}
}

// write makes a file with the parts of its content.
func write(b *testing.B, path string, parts ...string) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for _, part := range parts {
		if _, err := io.WriteString(file, part); err != nil {
			b.Fatal(err)
		}
	}
}
