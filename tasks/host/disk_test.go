package host_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/host"
)

func TestDiskKeepsTheContract(t *testing.T) {
	t.Parallel()
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Look("host/disk", &host.Disk{}),
		Configure: func(config any) {
			c := config.(*host.Disk)
			c.Path, c.Min = t.TempDir(), 1
		},
	})
}

func TestAPlaceThatIsNotThereYetIsJudgedByItsParentAndNotMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := filepath.Join(dir, "backups", "today")
	disk := &host.Disk{Path: place, Min: 1}
	space, err := disk.Run(t.Context(), tasktest.Env(t))
	if err != nil || space.Path != dir || space.FreeBytes <= 0 || space.FreeBytes > space.TotalBytes {
		t.Errorf("space %+v, error %v", space, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("it left %v behind (error %v)", entries, err)
	}
}

func TestTooLittleSpaceIsRefusedWithBothFigures(t *testing.T) {
	t.Parallel()
	disk := &host.Disk{Path: t.TempDir(), Min: math.MaxInt64}
	if err := disk.Check(t.Context(), tasktest.Env(t)); err == nil {
		t.Error("check: accepted")
	}
	space, err := disk.Run(t.Context(), tasktest.Env(t))
	if err == nil || !strings.Contains(err.Error(), task.Bytes(space.FreeBytes).String()+" free, less than 9223372.0 TB") {
		t.Errorf("error %v", err)
	}
	if space.FreeBytes == 0 || task.HintOf(err) == "" {
		t.Errorf("space %+v, hint %q", space, task.HintOf(err))
	}
}

func TestAPlaceBelowAFileIsNoPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk := &host.Disk{Path: filepath.Join(file, "backups"), Min: 1}
	if _, err := disk.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

func TestNoSpaceAskedForIsRefused(t *testing.T) {
	t.Parallel()
	if (&host.Disk{Path: "."}).Validate() == nil {
		t.Error("accepted")
	}
}

func TestAnInterruptionIsObeyed(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := (&host.Disk{Path: ".", Min: 1}).Run(ctx, tasktest.Env(t)); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}
