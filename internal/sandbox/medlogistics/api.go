package medlogistics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/home"
)

// An API is a stand-in for the MedLogistics API. It takes API keys as long as
// users.api_key is there and, once users.auth0_user_id is, the tenant's tokens. It needs no restart for
// that, nor for a database that went away and came back.
type API struct {
	Listen      string        // host:port
	DatabaseURL redact.Secret //
	Domain      string        // the tenant's, host or host:port; tokens come from https://DOMAIN/
	Audience    string        // that tokens have to be for
	CAFile      string        // PEM of what signs the tenant's certificate; "" is the system's choice
	Owner       string        // a lock file: the API stops when the sandbox that holds it is gone; "" is none
	Log         *slog.Logger  //

	// Notice is how often it says by its health that it is told to stop, and goes
	// on answering, before it stops: what balances the load sends no more. It is a
	// number of looks, not a time, because who looks may be slow. Without anything
	// in front of it, 0.
	Notice int
}

const (
	applicationName = "medlogistics-api" // of the database sessions
	requestTimeout  = 5 * time.Second
	noticeTimeout   = 4 * time.Second  // when nobody looks
	writeTimeout    = 10 * time.Second // of a request, from its header to the end of its answer
	stopTimeout     = writeTimeout     // for requests in progress
	poolSize        = 10
)

// Serve answers requests until ctx ends. Then it finishes those that it has
// begun, closes its database connections and returns nil.
func (a API) Serve(ctx context.Context) error {
	handler, err := a.handler()
	if err != nil {
		return fmt.Errorf("serve the MedLogistics API: %w", err)
	}
	defer handler.pool.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("serve the MedLogistics API: %w", err)
	}
	server := &http.Server{
		Handler:           handler.routes(),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		ErrorLog:          slog.NewLogLogger(a.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	a.Log.Info("serving", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return fmt.Errorf("serve the MedLogistics API: %w", err)
	case <-a.ownerGone():
		a.Log.Info("stopping: the sandbox is gone")
	case <-ctx.Done():
		a.Log.Info("stopping: told to")
		handler.leave(noticeTimeout)
	}
	return stop(ctx, server)
}

// ownerGone is never closed if there is no owner.
func (a API) ownerGone() <-chan struct{} {
	if a.Owner == "" {
		return nil
	}
	return home.OwnerGone(a.Owner)
}

func stop(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("stop the MedLogistics API: %w", err)
	}
	return nil
}

// handler makes what answers the requests. It connects to nothing yet: the API
// comes up before its database, and says by its health that it waits.
func (a API) handler() (*handler, error) {
	config, err := pgxpool.ParseConfig(a.DatabaseURL.Reveal())
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // the driver's text quotes it
	}
	config.ConnConfig.RuntimeParams["application_name"] = applicationName
	config.ConnConfig.ConnectTimeout = 2 * time.Second
	config.MaxConns = poolSize
	keys, err := newKeys(a.Domain, a.CAFile)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	return &handler{
		pool:    pool,
		tokens:  verifier{keys: keys, issuer: "https://" + a.Domain + "/", audience: a.Audience},
		metrics: newMetrics(pool),
		log:     a.Log,

		farewell: make(chan struct{}, a.Notice),
	}, nil
}
