package cli

import (
	"bytes"
	"log/slog"
	"regexp"
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
			slog.LevelWarn, func(l *slog.Logger) { l.Warn("step failed, will be tried again", "step", "put-back", "wait", "1s") },
			"  warn  put-back                step failed, will be tried again  wait=1s\n",
		},
		{
			slog.LevelWarn, func(l *slog.Logger) { l.WithGroup("of").Warn("it is kept", "phase", "p") },
			"  warn  it is kept  of.phase=p\n",
		},
		{slog.LevelWarn, func(l *slog.Logger) { l.Info("chatter") }, ""},
		{slog.LevelError, func(l *slog.Logger) { l.Warn("chatter") }, ""},
	} {
		var out bytes.Buffer
		c.log(slog.New(newLineHandler(&lineSink{to: &out}, c.level)))
		if out.String() != c.want {
			t.Errorf("%q, want %q", out.String(), c.want)
		}
	}
}

func TestAWarningIsToldAndALineHasItsTimeWhereMoreThanWarningsAre(t *testing.T) {
	var out bytes.Buffer
	told := ""
	s := &lineSink{to: &out, timed: true, warned: func(step, text string) { told += step + ": " + text + "\n" }}
	log := slog.New(newLineHandler(s, slog.LevelDebug)).With("step", "salvage")
	log.Debug("chatter")
	log.Warn("it is kept", "rows", 3)
	if told != "salvage: it is kept  rows=3\n" {
		t.Errorf("told %q", told)
	}
	line := regexp.MustCompile(`^  debug \d\d:\d\d:\d\d\.\d{3} salvage                 chatter\n  warn  \d\d:`)
	if !line.MatchString(out.String()) {
		t.Errorf("%q", out.String())
	}
}
