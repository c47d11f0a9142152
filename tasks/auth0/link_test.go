package auth0

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// linkable is a table of n users, none of whom is linked, and the links to write.
func (s *scene) linkable(n int) (*table, []link) {
	s.t.Helper()
	open, err := openTable(context.Background(), s.dsn, mapping())
	must(s.t, err)
	open.salt = 1
	s.t.Cleanup(open.close)
	rows, err := open.unlinked(context.Background(), span{}, n)
	must(s.t, err)
	links := make([]link, len(rows))
	for i, r := range rows {
		links[i] = link{row: r.id, user: "auth0|" + r.id, version: r.version, digest: r.digest}
	}
	return open, links
}

const writtenBack = "select count(*) from users where auth0_user_id = 'auth0|' || id"

func TestManyIdsAreWrittenBackOnTwoConnections(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(2*apart+1))
	open, links := s.linkable(2*apart + 1)
	for _, l := range []link{links[0], links[2*apart]} {
		s.exec("update users set auth0_user_id = 'auth0|other-' || id where id = $1", l.row)
	}
	missed, unknown, err := open.link(t.Context(), links)
	must(t, err)
	if len(unknown) != 0 || len(missed) != 2 || missed[0].row != links[0].row || missed[1].row != links[2*apart].row {
		t.Errorf("%d are unknown, missed are %v", len(unknown), missed)
	}
	if n := s.number(writtenBack); n != len(links)-2 {
		t.Errorf("%d of %d ids are there", n, len(links)-2)
	}
	if open.second == nil {
		t.Error("there was one connection only")
	}
}

func TestARowIsLinkedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(3))
	open, links := s.linkable(3)
	s.exec("update users set email = 'new.' || email where id = $1", links[0].row)
	s.exec("update users set api_key = 'new' where id = $1", links[1].row) // that no account takes
	missed, _, err := open.link(t.Context(), links)
	must(t, err)
	if len(missed) != 1 || missed[0].row != links[0].row || !missed[0].changed {
		t.Errorf("missed are %v", missed)
	}
	if n := s.number(writtenBack); n != 2 {
		t.Errorf("%d ids are there", n)
	}
}

func TestIdsAreWrittenBackWhereTheServerHasOneConnectionLeft(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(apart))
	open, links := s.linkable(apart)
	open.dsn = redact.NewSecret("postgres://nobody@127.0.0.1:1/nowhere")
	missed, unknown, err := open.link(t.Context(), links)
	must(t, err)
	if n := s.number(writtenBack); n != apart || len(missed)+len(unknown) > 0 {
		t.Errorf("%d of %d ids are there, %d missed, %d unknown", n, apart, len(missed), len(unknown))
	}
}

// What one connection wrote counts as written when the other came to nothing.
func TestTheHalfThatWasWrittenBackIsToldFromTheOther(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(apart))
	open, links := s.linkable(apart)
	s.exec("begin")
	s.exec("select from users where id = $1 for update", links[apart-1].row)
	ctx, stop := context.WithCancel(t.Context())
	watch, _ := s.linkable(0)
	go func() {
		defer stop()
		for n := 0; n < apart/2 && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			_ = watch.conn.QueryRow(ctx, writtenBack).Scan(&n)
		}
	}()
	missed, unknown, err := open.link(ctx, links)
	if err == nil || len(missed) != 0 || len(unknown) != apart/2 || unknown[0].row != links[apart/2].row {
		t.Errorf("%v: %d missed, %d unknown", err, len(missed), len(unknown))
	}
	if n := s.number(writtenBack); n != apart/2 {
		t.Errorf("%d ids are there, not %d", n, apart/2)
	}
	s.exec("rollback")
}

// The application may lock the same rows in another order: the server ends one of the two.
func TestLinksAreWrittenThoughTheServerEndsADeadlock(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(40), emulator.Config{})
	ctx := context.Background()
	application, err := pgx.Connect(ctx, s.dsn.Reveal())
	must(t, err)
	defer application.Close(ctx)
	open, links := s.linkable(40)
	_, err = application.Exec(ctx, "set deadlock_timeout to '1min'") // so that it is not the one that is ended
	must(t, err)
	_, err = application.Exec(ctx, "begin; update users set full_name = full_name where id = (select id from users order by id desc limit 1)")
	must(t, err)
	linked := make(chan error, 1)
	go func() {
		missed, _, err := open.link(ctx, links)
		if err == nil && len(missed) > 0 {
			err = fmt.Errorf("%d rows were missed", len(missed))
		}
		linked <- err
	}()
	eventually(t, "the write-back waits for the row", func() bool {
		return s.number("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 1
	})
	_, err = application.Exec(ctx, "update users set full_name = full_name; commit")
	must(t, err)
	must(t, <-linked)
	if n := s.number("select count(*) from users where auth0_user_id is not null"); n != 40 {
		t.Errorf("%d users are linked", n)
	}
}
