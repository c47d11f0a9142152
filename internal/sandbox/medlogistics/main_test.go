package medlogistics

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestMain makes this test binary the API when it is called as the program's
// hidden subcommand is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "sandbox-api" {
		os.Exit(serveAPI())
	}
	os.Exit(m.Run())
}

func serveAPI() int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	api, err := APIFromEnv(os.LookupEnv)
	if err == nil {
		api.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		err = api.Serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
