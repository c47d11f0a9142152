package cli

import (
	"io"
	"log/slog"

	"github.com/medlogistics/phasegate/internal/redact"
)

// logger writes to standard error without the secrets.
func (a *app) logger(mask *redact.Masker) *slog.Logger {
	var to io.Writer = a.Err
	if a.Live {
		to = overwriting{a.Err}
	}
	return slog.New(slog.NewTextHandler(redact.NewWriter(to, mask), &slog.HandlerOptions{Level: a.level}))
}

// overwriting writes over the moving line, which is drawn again below.
type overwriting struct{ to io.Writer }

func (w overwriting) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, "\r\x1b[K"); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}
