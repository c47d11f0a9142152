package plan_test

import "testing"

// TestTenThousandStepsFitIntoMemory holds the bar of a large plan.
func TestTenThousandStepsFitIntoMemory(t *testing.T) {
	t.Parallel()
	took, findings := read(t, string(long(10_000)))
	if findings[0] != "0 findings" {
		t.Errorf("got %q", findings)
	}
	const most = 120 << 10 // KiB, the program and its input included
	if !raced() && took.peak > most {
		t.Errorf("took %d MiB", took.peak>>10)
	}
	t.Logf("%v, %d MiB", took.cpu, took.peak>>10)
}
