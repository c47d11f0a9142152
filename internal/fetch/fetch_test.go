package fetch_test

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

func client(t *testing.T, caFile string) *fetch.Client {
	t.Helper()
	c, err := fetch.New(caFile)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGetReturnsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != "the-key-of-a-nurse" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	}))
	defer server.Close()
	answer, err := client(t, "").Get(t.Context(), server.URL, nil)
	if err != nil || answer.Status != http.StatusUnauthorized {
		t.Fatalf("answer %+v, error %v", answer, err)
	}
	answer, err = client(t, "").Get(t.Context(), server.URL,
		map[string]redact.Secret{"X-API-Key": redact.NewSecret("the-key-of-a-nurse")})
	if err != nil || answer.Status != http.StatusFound || answer.Location != "https://elsewhere.example/" {
		t.Fatalf("a redirect is not to be followed: %+v, %v", answer, err)
	}
}

func TestAPrivateAuthorityIsTrustedOnlyWhenNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	_, err := client(t, "").Get(t.Context(), server.URL, nil)
	if err == nil || !strings.Contains(task.HintOf(err), "ca_file") {
		t.Fatalf("error %v, hint %q", err, task.HintOf(err))
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if answer, err := client(t, file).Get(t.Context(), server.URL, nil); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("answer %+v, error %v", answer, err)
	}
}

func TestAnAuthorityFileThatHoldsNoneIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + ".missing"} {
		if _, err := fetch.New(name); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestErrorsSayWhyAndKeepTheQueryToThemselves(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "http://" + listener.Addr().String() + "/health?token=hush-hush"
	_ = listener.Close()
	_, err = client(t, "").Get(t.Context(), refusing, nil)
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "hush") {
		t.Errorf("refused: %v", err)
	}
	_, err = client(t, "").Get(t.Context(), "http://host.invalid/health?token=hush-hush", nil)
	if err == nil || !strings.Contains(err.Error(), "host.invalid not found") || strings.Contains(err.Error(), "hush") {
		t.Errorf("unknown host: %v", err)
	}
	cause := errors.New("the phase's time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err = client(t, "").Get(ctx, refusing, nil); !errors.Is(err, cause) {
		t.Errorf("ended context: %v", err)
	}
}

func TestWhatIsNotAPageIsRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "localhost:8000", "ftp://host/x", "https://", "http://[::1", "http://user:pa55word@host/"} {
		if fetch.CheckURL(address) == nil {
			t.Errorf("%q was taken for a page", address)
		}
	}
	if err := fetch.CheckURL("http://localhost:8000/health"); err != nil {
		t.Error(err)
	}
}
