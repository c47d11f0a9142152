package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/medlogistics/phasegate/internal/redact"
)

// logger writes to standard error without the secrets, with the time where somebody
// asked for more than warnings.
func (a *app) logger(mask *redact.Masker) *slog.Logger {
	var to io.Writer = a.Err
	if a.Live {
		to = overwriting{a.Err}
	}
	s := &lineSink{to: redact.NewWriter(to, mask), colour: a.Live && a.NoColor == "", timed: a.level < slog.LevelWarn}
	return slog.New(newLineHandler(s, a.level))
}

// A lineHandler writes a record as a line like those of the steps: its level, the
// step that it is of, the message, and behind it what else there is as key=value.
type lineHandler struct {
	*lineSink
	attributes slog.Handler // writes key=value into the buffer
	step       string
}

// A lineSink is what a handler has in common with those that it was made from.
type lineSink struct {
	to     io.Writer
	colour bool
	timed  bool
	warned func(step, text string) // is told of every warning; nil if nobody is

	mu     sync.Mutex
	buffer bytes.Buffer
}

func newLineHandler(s *lineSink, level slog.Level) *lineHandler {
	return &lineHandler{s, slog.NewTextHandler(&s.buffer, &slog.HandlerOptions{Level: level, ReplaceAttr: besides}), ""}
}

// besides takes out what stands elsewhere in a line, or, as the phase, above it.
func besides(groups []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "phase", "step":
		if len(groups) == 0 {
			return slog.Attr{}
		}
	}
	return a
}

func (h *lineHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.attributes.Enabled(ctx, level)
}

func (h *lineHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Reset()
	if err := h.attributes.Handle(ctx, r); err != nil {
		return err
	}
	level := fmt.Sprintf("%-5s", strings.ToLower(r.Level.String()))
	if h.colour {
		level = styled(yellow, level)
	}
	step := h.step
	r.Attrs(func(a slog.Attr) bool {
		step = stepIn(step, a)
		return true
	})
	line := "  " + level + " "
	if h.timed {
		line += r.Time.Format("15:04:05.000 ")
	}
	if step != "" {
		line += fmt.Sprintf("%-22s  ", step)
	}
	text := strings.TrimSpace(r.Message + "  " + h.buffer.String())
	if h.warned != nil && r.Level >= slog.LevelWarn {
		h.warned(step, text)
	}
	_, err := io.WriteString(h.to, line+text+"\n")
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	step := h.step
	for _, a := range attrs {
		step = stepIn(step, a)
	}
	return &lineHandler{h.lineSink, h.attributes.WithAttrs(attrs), step}
}

// stepIn is the step that the attribute names, or the one before.
func stepIn(before string, a slog.Attr) string {
	if a.Key == "step" {
		return a.Value.String()
	}
	return before
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	return &lineHandler{h.lineSink, h.attributes.WithGroup(name), h.step}
}

// overwriting writes over the moving line, which is drawn again below.
type overwriting struct{ to io.Writer }

func (w overwriting) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, "\r\x1b[K"); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}
