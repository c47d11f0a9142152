package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/command"
)

const (
	readyTimeout = 30 * time.Second // it takes 30 ms; the rest is for a machine that stalls
	readyPoll    = 3 * time.Millisecond
	portTries    = 5
)

// launch starts the server on a port that is free, and waits until it takes
// connections.
func (c *Cluster) launch(ctx context.Context, p programs, account *command.Account, parameters map[string]string) error {
	var err error
	for range portTries {
		if c.port, err = freePort(ctx); err != nil {
			return err
		}
		argv := append([]string{
			p.postgres, "-D", dataDir(c.home.Dir()), "-p", strconv.Itoa(c.port), "-k", c.home.Dir(),
		}, arguments(parameters)...)
		c.server, err = command.Command{
			Argv: argv, Dir: c.home.Dir(), As: account, Orphan: command.Quit, Env: []string{"LC_ALL=" + locale},
		}.Start()
		if err != nil {
			return err
		}
		err = c.awaitReady(ctx)
		if err == nil || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
		// Another program has taken the port since: the next one is as good.
	}
	return err
}

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// awaitReady returns nil when the server takes connections, or why it ended.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("the server does not get ready"))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		conn, err := c.connectSocket(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		var refusal *pgconn.PgError
		if errors.As(err, &refusal) && refusal.Code != "57P03" { // cannot_connect_now
			return err
		}
		select {
		case <-c.server.Done():
			return fmt.Errorf("the server ended: %w", c.server.Wait())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// connectSocket connects as the superuser over the socket, without a password.
func (c *Cluster) connectSocket(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = c.home.Dir(), uint16(c.port)
	config.User, config.Password, config.Database = superuser, "", "postgres"
	config.TLSConfig, config.Fallbacks = nil, nil
	return pgx.ConnectConfig(ctx, config)
}

// setPassword gives the superuser the password of this cluster: the copied
// template has none, so that no two clusters share one.
func (c *Cluster) setPassword(ctx context.Context) error {
	conn, err := c.connectSocket(ctx)
	if err != nil {
		return fmt.Errorf("set the password: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "alter role "+superuser+" password '"+c.password+"'")
	if err != nil {
		return fmt.Errorf("set the password: %w", err)
	}
	return nil
}
