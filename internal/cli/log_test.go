package cli

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestAWarningIsALineLikeThoseOfTheSteps(t *testing.T) {
	for _, c := range []struct {
		level slog.Level
		log   func(*slog.Logger)
		want  string
	}{
		{
			slog.LevelWarn, func(l *slog.Logger) { l.Warn("it is kept", "database", "app replaced", "rows", 3) },
			"  warn  it is kept  database=\"app replaced\" rows=3\n",
		},
		{
			slog.LevelWarn, func(l *slog.Logger) { l.With("phase", "p", "step", "put-back").Error("no luck") },
			"  error put-back                no luck\n",
		},
		{
			slog.LevelWarn, func(l *slog.Logger) { l.WithGroup("of").Warn("it is kept", "phase", "p") },
			"  warn  it is kept  of.phase=p\n",
		},
		{slog.LevelWarn, func(l *slog.Logger) { l.Info("chatter") }, ""},
		{slog.LevelError, func(l *slog.Logger) { l.Warn("chatter") }, ""},
	} {
		var out bytes.Buffer
		c.log(slog.New(newLineHandler(&out, c.level, false)))
		if out.String() != c.want {
			t.Errorf("%q, want %q", out.String(), c.want)
		}
	}
}
