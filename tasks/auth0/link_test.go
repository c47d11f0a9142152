package auth0

import (
	"context"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
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
