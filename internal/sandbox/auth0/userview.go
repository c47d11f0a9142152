package auth0

import (
	"crypto/md5" //nolint:gosec // Gravatar addresses are MD5 sums
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// userView is a user as the Management API shows it.
type userView struct {
	Blocked       *bool           `json:"blocked,omitempty"`
	CreatedAt     string          `json:"created_at"`
	Email         string          `json:"email,omitempty"`
	EmailVerified *bool           `json:"email_verified,omitempty"`
	FamilyName    string          `json:"family_name,omitempty"`
	GivenName     string          `json:"given_name,omitempty"`
	Identities    []identityView  `json:"identities"`
	Name          string          `json:"name"`
	Nickname      string          `json:"nickname"`
	PhoneNumber   string          `json:"phone_number,omitempty"`
	PhoneVerified *bool           `json:"phone_verified,omitempty"`
	Picture       string          `json:"picture"`
	UpdatedAt     string          `json:"updated_at"`
	UserID        string          `json:"user_id"`
	UserMetadata  json.RawMessage `json:"user_metadata,omitempty"`
	Username      string          `json:"username,omitempty"`
	PasswordReset string          `json:"last_password_reset,omitempty"`
	AppMetadata   json.RawMessage `json:"app_metadata,omitempty"`
	LastIP        string          `json:"last_ip,omitempty"`
	LastLogin     string          `json:"last_login,omitempty"`
	LoginsCount   int32           `json:"logins_count,omitempty"`
}

type identityView struct {
	Connection string `json:"connection"`
	UserID     string `json:"user_id"`
	Provider   string `json:"provider"`
	IsSocial   bool   `json:"isSocial"`

	Profile document `json:"profileData,omitempty"` // of one that was an account before
}

func (u *user) view() userView {
	v := userView{
		CreatedAt: millis(u.created), UpdatedAt: millis(u.updated),
		Email: u.email, UserID: u.id, Username: u.username,
		Name: u.displayName(), Nickname: u.displayNickname(), Picture: u.displayPicture(),
		Identities:   []identityView{{u.connection, u.localID(), u.provider(), false, nil}},
		UserMetadata: u.userMeta, AppMetadata: u.appMeta,
		PasswordReset: millis(u.reset), LastLogin: millis(u.login), LoginsCount: u.logins,
	}
	if u.email != "" {
		v.EmailVerified = ptr(u.has(verified))
	}
	if u.has(blockedKnown) {
		v.Blocked = ptr(u.has(blocked))
	}
	if u.has(phoneVerifiedKnown) {
		v.PhoneVerified = ptr(u.has(phoneVerified))
	}
	if p := u.profile; p != nil {
		v.GivenName, v.FamilyName, v.PhoneNumber, v.LastIP = p.givenName, p.familyName, p.phone, p.lastIP
		if p.linked != nil {
			v.Identities = append(v.Identities, *p.linked...)
		}
	}
	return v
}

func ptr[T any](value T) *T { return &value }

// millis writes Unix milliseconds as a timestamp, "" for 0.
func millis(ms int64) string {
	if ms == 0 {
		return ""
	}
	return timestamp(time.UnixMilli(ms))
}

// displayPicture returns the picture that is shown: Auth0 makes up a Gravatar
// whose fallback are the initials of the name.
func (u *user) displayPicture() string {
	if u.picture != "" {
		return u.picture
	}
	sum := md5.Sum([]byte(u.email)) //nolint:gosec // not for security
	initials := strings.ToLower(u.displayNickname())
	if len(initials) > 2 {
		initials = initials[:2]
	}
	fallback := url.QueryEscape("https://cdn.auth0.com/avatars/" + initials + ".png")
	return "https://s.gravatar.com/avatar/" + hex.EncodeToString(sum[:]) + "?s=480&r=pg&d=" + fallback
}

// selected is a user with only some of its fields, or without some, as the query
// parameters fields and include_fields ask.
func selected(view userView, query url.Values) any {
	fields := query.Get("fields")
	if fields == "" {
		return view
	}
	return pick(toObject(view), strings.Split(fields, ","), query.Get("include_fields") != "false")
}

// pick returns an object with only the named properties, or without them.
func pick(object map[string]any, names []string, include bool) map[string]any {
	out := map[string]any{}
	for key, value := range object {
		named := false
		for _, name := range names {
			named = named || strings.TrimSpace(name) == key
		}
		if named == include {
			out[key] = value
		}
	}
	return out
}

// toObject turns a value into the JSON object that it is on the wire.
func toObject(value any) map[string]any {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // every value is made of plain data here
	}
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		panic(err)
	}
	return object
}
