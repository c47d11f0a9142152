package auth0

import (
	"slices"
	"strings"
	"time"
)

// A user is an account as the tenant keeps it: small, because a tenant may hold
// a million. What is derived from other fields is left empty.
type user struct {
	id         string // "auth0|..."
	connection string // name
	email      string // in lower case, as Auth0 keeps it
	username   string
	name       string // empty: the e-mail address
	nickname   string // empty: its local part
	picture    string // empty: a Gravatar
	profile    *profile
	appMeta    []byte // JSON object, nil if there is none
	userMeta   []byte
	password   password
	roles      []membership
	grants     []permission
	created    int64 // Unix milliseconds, as are the next ones
	updated    int64
	reset      int64 // last password reset, 0 if there was none
	login      int64 // last login, 0 if there was none
	logins     int32
	flags      userFlags
	indexed    *indexed
}

// profile are the fields that few users have.
type profile struct {
	givenName, familyName, phone, lastIP string
	linked                               *[]identityView // that were accounts before
}

type userFlags uint8

const (
	verified userFlags = 1 << iota
	blocked
	blockedKnown // "blocked" was given once, and is shown since
	phoneVerified
	phoneVerifiedKnown
	gone // deleted; still in the order until that is compacted
)

func (u *user) has(f userFlags) bool { return u.flags&f != 0 }

func (u *user) set(f userFlags, on bool) {
	if on {
		u.flags |= f
	} else {
		u.flags &^= f
	}
}

// indexed is how the search index still shows a user that has changed.
type indexed struct {
	old   *user // nil if the user was not there
	until int64 // Unix milliseconds
}

// displayName returns the name that is shown.
func (u *user) displayName() string {
	if u.name != "" {
		return u.name
	}
	return u.email
}

func (u *user) displayNickname() string {
	if u.nickname != "" {
		return u.nickname
	}
	local, _, _ := strings.Cut(u.email, "@")
	return local
}

func (u *user) provider() string {
	provider, _, _ := strings.Cut(u.id, "|")
	return provider
}

// localID is the id without the provider, as identities show it.
func (u *user) localID() string {
	_, id, _ := strings.Cut(u.id, "|")
	return id
}

// userStore holds the users by what requests ask for.
type userStore struct {
	byID   map[string]*user
	byMail map[string]*user   // the first user with an address
	inMail map[string][]*user // the others, in other connections
	byName map[string]*user   // key is connection and username
	order  []*user            // as they were created
	dead   int                // how many of order are gone
}

func newUserStore() *userStore {
	return &userStore{
		byID: map[string]*user{}, byMail: map[string]*user{},
		byName: map[string]*user{}, inMail: map[string][]*user{},
	}
}

// mailKey joins with a byte that neither part can hold.
func mailKey(connection, value string) string { return connection + "\x00" + value }

func (s *userStore) put(u *user) {
	s.byID[u.id] = u
	s.link(u)
	s.order = append(s.order, u)
}

// link enters the user under its address and name.
func (s *userStore) link(u *user) {
	if u.username != "" {
		s.byName[mailKey(u.connection, u.username)] = u
	}
	if u.email == "" {
		return
	}
	first, taken := s.byMail[u.email]
	switch {
	case !taken:
		s.byMail[u.email] = u
	case first != u:
		// The same address in another connection: rare, so kept aside.
		s.inMail[u.email] = append(s.inMail[u.email], u)
	}
}

func (s *userStore) unlink(u *user) {
	if u.username != "" {
		delete(s.byName, mailKey(u.connection, u.username))
	}
	if u.email == "" {
		return
	}
	others := s.inMail[u.email]
	if s.byMail[u.email] == u {
		delete(s.byMail, u.email)
		if len(others) > 0 {
			s.byMail[u.email], others = others[0], others[1:]
		}
	} else {
		others = slices.DeleteFunc(others, func(o *user) bool { return o == u })
	}
	if len(others) == 0 {
		delete(s.inMail, u.email)
	} else {
		s.inMail[u.email] = others
	}
}

// withEmail returns the users of all connections with an address.
func (s *userStore) withEmail(email string) []*user {
	first, ok := s.byMail[email]
	if !ok {
		return nil
	}
	return append([]*user{first}, s.inMail[email]...)
}

// in returns the user of a connection with an address.
func (s *userStore) in(connection, email string) *user {
	for _, u := range s.withEmail(email) {
		if u.connection == connection {
			return u
		}
	}
	return nil
}

func (s *userStore) named(connection, username string) *user {
	return s.byName[mailKey(connection, username)]
}

// remove takes a user out. With a search index that lags, the order keeps it
// until the index has caught up.
func (s *userStore) remove(u *user, keep bool) {
	delete(s.byID, u.id)
	s.unlink(u)
	u.flags |= gone
	s.dead++
	if !keep && s.dead > 1000 && s.dead > len(s.order)/2 {
		s.order = slices.DeleteFunc(s.order, func(u *user) bool { return u.has(gone) })
		s.dead = 0
	}
}

// all returns the users that are there.
func (s *userStore) all(yield func(*user) bool) {
	for _, u := range s.order {
		if !u.has(gone) && !yield(u) {
			return
		}
	}
}

// changing is called before a user is changed, created or deleted, so that the
// search index can lag behind. before is the user as it was, nil if new.
func (t *Tenant) changing(u *user, before *user, now time.Time) {
	delay := max(t.config.SearchDelay, t.lag)
	if delay <= 0 {
		return
	}
	old := before
	if u.indexed != nil && now.UnixMilli() < u.indexed.until {
		old = u.indexed.old
	} else if old != nil {
		old.indexed = nil
	}
	u.indexed = &indexed{old: old, until: now.Add(delay).UnixMilli()}
}

// inIndex returns the user as the search index shows it, nil if it does not.
func (u *user) inIndex(now time.Time) *user {
	if u.indexed != nil && now.UnixMilli() < u.indexed.until {
		return u.indexed.old
	}
	if u.has(gone) {
		return nil
	}
	return u
}
