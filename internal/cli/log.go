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

// logger writes to standard error without the secrets: warnings as lines like the
// others there, or, where somebody asked for more than those, whole records with
// their time.
func (a *app) logger(mask *redact.Masker) *slog.Logger {
	var to io.Writer = a.Err
	if a.Live {
		to = overwriting{a.Err}
	}
	to = redact.NewWriter(to, mask)
	if a.level < slog.LevelWarn {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: a.level}))
	}
	return slog.New(newLineHandler(to, a.level, a.Live && a.NoColor == ""))
}

// A lineHandler writes a record as a line like those of the steps: its level, the
// step that it is of, the message, and behind it what else there is as key=value.
type lineHandler struct {
	*shared
	attributes slog.Handler // writes key=value into the buffer
	step       string
}

// shared is what a handler has in common with those that it was made from.
type shared struct {
	mu     sync.Mutex
	to     io.Writer
	colour bool
	buffer bytes.Buffer
}

func newLineHandler(to io.Writer, level slog.Level, colour bool) *lineHandler {
	s := &shared{to: to, colour: colour}
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
	line := "  " + level + " "
	if h.step != "" {
		line += fmt.Sprintf("%-22s  ", h.step)
	}
	line += r.Message
	if h.buffer.Len() > 1 { // more than its newline
		line += "  " + strings.TrimSpace(h.buffer.String())
	}
	_, err := io.WriteString(h.to, line+"\n")
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	step := h.step
	for _, a := range attrs {
		if a.Key == "step" {
			step = a.Value.String()
		}
	}
	return &lineHandler{h.shared, h.attributes.WithAttrs(attrs), step}
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	return &lineHandler{h.shared, h.attributes.WithGroup(name), h.step}
}

// overwriting writes over the moving line, which is drawn again below.
type overwriting struct{ to io.Writer }

func (w overwriting) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, "\r\x1b[K"); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}
