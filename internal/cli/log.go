package cli

import (
	"log/slog"

	"github.com/medlogistics/phasegate/internal/redact"
)

// logger writes to standard error without the secrets.
func (a *app) logger(mask *redact.Masker) *slog.Logger {
	return slog.New(slog.NewTextHandler(redact.NewWriter(a.Err, mask), &slog.HandlerOptions{Level: a.level}))
}
