// Package tasktest runs a task as the runner does, and holds the conformance
// suite that every task must pass.
package tasktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Env returns what the runner would lend to a task: a directory of the test's,
// a log that goes to the test's, and a Save that the next call gets back.
func Env(t testing.TB) *task.Env {
	env := &task.Env{
		Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Dir: t.TempDir(),
	}
	env.Save = func(receipt any) error {
		raw, err := json.Marshal(receipt)
		env.Saved = raw
		return err
	}
	env.Progress = func(int64, int64, string) {}
	return env
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// A Case is one way in which a task is expected to succeed.
type Case struct {
	Spec      task.Spec
	Configure func(config any) // fills in the pointer to the task's struct
	Env       *task.Env        // nil is Env(t)
	Secrets   []string         // canaries that may stand in no log and no receipt
}

// Conform fails the test unless the task keeps the contract: Check changes
// nothing and can be repeated, Run leaves a whole receipt, a second Run finds
// its work done, and an ended context is obeyed.
func Conform(t *testing.T, c Case) {
	t.Helper()
	var log lockedBuffer
	env := c.Env
	if env == nil {
		env = Env(t)
	}
	env.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	instance := func() task.Instance {
		i := c.Spec.New()
		c.Configure(i.Config())
		return i
	}
	if err := instance().Validate(); err != nil {
		t.Fatalf("validate: %v", err)
	}
	obeysContext(t, instance(), env)
	for range 2 {
		if err := instance().Check(t.Context(), env); err != nil {
			t.Fatalf("check before the first run: %v", err)
		}
	}
	first := run(t, instance(), env, c.Spec)
	second := run(t, instance(), env, c.Spec)
	for _, secret := range c.Secrets {
		for name, text := range map[string]string{"log": log.String(), "receipt": string(first), "second receipt": string(second)} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds a secret", name)
			}
		}
	}
}

func run(t *testing.T, instance task.Instance, env *task.Env, spec task.Spec) json.RawMessage {
	t.Helper()
	raw, err := instance.Run(t.Context(), env)
	var skip *task.SkipError
	if err != nil && !errors.As(err, &skip) {
		t.Fatalf("run: %v", err)
	}
	var receipt map[string]any
	if err := json.Unmarshal(raw, &receipt); err != nil {
		t.Fatalf("read the receipt %q: %v", raw, err)
	}
	for _, field := range task.ReceiptFields(spec.Receipt) {
		if _, ok := receipt[field.Key]; !ok {
			t.Errorf("the receipt has no %s: a reference to it would fail", field.Key)
		}
	}
	return raw
}

func obeysContext(t *testing.T, instance task.Instance, env *task.Env) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = instance.Run(ctx, env)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("run goes on ten seconds after its context ended")
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
