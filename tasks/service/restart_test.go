package service_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

func restartOf(t testing.TB, s testService) *service.Restart {
	return &service.Restart{Service: address(t, s.address()), URL: task.URL(s.url), Timeout: 20 * time.Second}
}

func TestRestartKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := newService(t)
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Of("service/restart", &service.Restart{Timeout: 20 * time.Second}),
		Configure: func(config any) {
			c := config.(*service.Restart)
			c.Service, c.URL = address(t, s.address()), task.URL(s.url)
		},
	})
}

func TestRestartPutsAnotherProcessInThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	s := newService(t)
	mustStart(t, s)
	before := s.pid()
	receipt, err := restartOf(t, s).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if after := s.pid(); after == 0 || after == before {
		t.Errorf("process %d before, %d after", before, after)
	}
	if receipt.Service != s.address() || receipt.URL != s.url {
		t.Errorf("receipt %+v", receipt)
	}
	healthy := &service.Healthy{URL: task.URL(s.url), Timeout: time.Second}
	if _, err := healthy.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// A restart that was killed between its stop and its start leaves the instance
// down.
func TestRestartStartsAnInstanceThatIsDown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if _, err := restartOf(t, s).Run(t.Context(), tasktest.Env(t)); err != nil || s.pid() == 0 {
		t.Errorf("process %d, error %v", s.pid(), err)
	}
}

func TestRestartSaysWhatKeepsIt(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"stubborn": "not down within 2s: service exec://",
		"sick":     `the health page says status "degraded", not "healthy"`,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			mustStart(t, s)
			s.write(t, file, "")
			restart := restartOf(t, s)
			restart.Timeout = 2 * time.Second
			if file == "sick" {
				restart.Timeout = 8 * time.Second // it has to stop within it first
			}
			_, err := restart.Run(t.Context(), tasktest.Env(t))
			if err == nil || !strings.Contains(err.Error(), want) || task.HintOf(err) == "" {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRestartObeysAnInterruption(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write(t, "sick", "")
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(500*time.Millisecond, func() { cancel(cause) }).Stop()
	if _, err := restartOf(t, s).Run(ctx, tasktest.Env(t)); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}
