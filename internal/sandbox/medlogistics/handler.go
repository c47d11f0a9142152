package medlogistics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A handler answers the API's requests.
type handler struct {
	pool    *pgxpool.Pool
	tokens  verifier
	metrics *metrics
	log     *slog.Logger

	leaving  atomic.Bool
	farewell chan struct{} // gets one for each look at its health while it is leaving; has room for all that are waited for
}

// Stopping is the status that the health page gives once the API is told to stop.
const Stopping = "stopping"

// leave says by the health that this is about to stop, and returns when enough
// have asked, or after the timeout.
func (h *handler) leave(timeout time.Duration) {
	h.leaving.Store(true)
	enough := time.After(timeout)
	for range cap(h.farewell) {
		select {
		case <-h.farewell:
		case <-enough:
			return
		}
	}
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", h.health)
	mux.HandleFunc("GET /docs", docs)
	mux.HandleFunc("GET /metrics", h.metrics.serve)
	mux.HandleFunc("GET /api/me", h.authenticated(h.me))
	mux.HandleFunc("GET /api/drugs", h.authenticated(h.drugs))
	mux.HandleFunc("GET /api/orders", h.authenticated(h.orders))
	mux.HandleFunc("POST /api/administrations", h.authenticated(h.administer))
	return h.metrics.count(mux)
}

// health is 200 only if a request that needs the database would succeed, now and
// a moment later.
func (h *handler) health(w http.ResponseWriter, r *http.Request) {
	if h.leaving.Load() {
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": Stopping})
		select {
		case h.farewell <- struct{}{}:
		default: // as many as are waited for have asked
		}
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var served bool
	err := h.read(ctx, func(db querier) error {
		return db.QueryRow(ctx, "select exists (select from users)").Scan(&served)
	})
	if err != nil {
		h.log.Warn("not healthy", "error", err)
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": "unhealthy"})
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "healthy"})
}

func docs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html>
<html lang="en"><head><title>MedLogistics API</title></head><body><h1>MedLogistics API</h1>
<p>Send an API key in X-API-Key, or a token in Authorization: Bearer.</p>
<ul><li>GET /health</li><li>GET /api/me</li><li>GET /api/drugs</li><li>GET /api/orders</li>
<li>POST /api/administrations {"order_id": "..."}</li><li>GET /metrics</li></ul></body></html>
`)
}

// authenticated lets only known callers through to next, which answers with a
// status and a body, or fails.
func (h *handler) authenticated(next func(*http.Request, caller) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		who, method, err := h.identify(r)
		h.metrics.authenticated(method, err)
		var status int
		var body any
		if err == nil {
			status, body, err = next(r, who)
		}
		var refused refusal
		switch {
		case err == nil:
			reply(w, status, body)
		case errors.As(err, &refused):
			if refused.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			reply(w, refused.status, map[string]string{"detail": refused.detail})
		default:
			h.log.Error("request failed", "path", r.URL.Path, "error", err)
			reply(w, http.StatusServiceUnavailable, map[string]string{"detail": "Service unavailable"})
		}
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone is no error of ours
}

// querier is what a read needs of a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// read runs a read of the database, and once more if it met a connection that
// the server had closed in the meantime, as it does when databases are swapped.
func (h *handler) read(ctx context.Context, query func(querier) error) error {
	err := query(h.pool)
	if err == nil || errors.Is(err, pgx.ErrNoRows) || ctx.Err() != nil || !lostConnection(err) {
		return err
	}
	h.pool.Reset() // the other idle ones are as dead
	return query(h.pool)
}

func lostConnection(err error) bool {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code == "57P01" || server.Code == "57P02" // admin_shutdown, crash_shutdown
	}
	return true
}
