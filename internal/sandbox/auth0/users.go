package auth0

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// errorCode of users that are not there.
const noUserCode = "inexistent_user"

func noUser() reply { return notFound("The user does not exist.", noUserCode) }

// largestProfile is the documented size of a user profile, in bytes.
const largestProfile = 10 << 10

var (
	e164       = pattern.Lazy(`^\+[0-9]{1,15}$`)
	unspaced   = pattern.Lazy(`^\S*$`)
	nameLetter = pattern.Lazy("^[a-z0-9@^$.!`\\-#+'~_]*$")
)

// userProps are the properties of a user that can be set and changed.
func userProps() map[string]schema {
	text := func(longest int, about string) schema {
		return schema{kind: "string", shortest: 1, longest: longest, about: about, null: true}
	}
	flag := func(about string) schema { return schema{kind: "boolean", about: about} }
	return map[string]schema{
		"email":          {kind: "string", format: "email", about: "The user's email", null: true},
		"phone_number":   {kind: "string", pattern: e164, about: "The user's phone number", null: true},
		"user_metadata":  {kind: "object", about: "User metadata to which this user has read/write access"},
		"app_metadata":   {kind: "object", about: "User metadata to which this user has read-only access"},
		"blocked":        flag("Whether this user was blocked by an administrator"),
		"email_verified": flag("Whether this email address is verified"),
		"phone_verified": flag("Whether this phone number has been verified"),
		"given_name":     text(150, "The user's given name(s)"),
		"family_name":    text(150, "The user's family name(s)"),
		"name":           text(300, "The user's full name"),
		"nickname":       text(300, "The user's nickname"),
		"picture":        {kind: "string", about: "A URI pointing to the user's picture", null: true},
		"password":       {kind: "string", shortest: 1, about: "Initial password for this user", null: true},
		"verify_email":   flag("Whether the user will receive a verification email after creation"),
		"username":       text(128, "The user's username"),
	}
}

func createUserSchema() *schema {
	return object([]string{"connection"}, with(userProps(), map[string]schema{
		"connection": {kind: "string", shortest: 1, about: "Name of the connection this user should be created in"},
		"user_id":    {kind: "string", longest: 255, pattern: unspaced, about: "The external user's id"},
	}))
}

func updateUserSchema() *schema {
	return object(nil, with(userProps(), map[string]schema{
		"connection":          {kind: "string", shortest: 1, about: "Name of the connection to target for this user update"},
		"client_id":           {kind: "string", shortest: 1, about: "Auth0 client ID"},
		"verify_phone_number": {kind: "boolean"},
	}))
}

// createUser is POST /api/v2/users.
func (t *Tenant) createUser(c *call) reply {
	connection, refused, ok := t.connectionForUser(c.text("connection"))
	if !ok {
		return refused
	}
	u := &user{connection: text(connection, "name"), created: c.now.UnixMilli(), updated: c.now.UnixMilli()}
	u.id = text(connection, "strategy") + "|" + c.text("user_id")
	if c.text("user_id") == "" {
		u.id += randomID(hexadecimal, 24)
	}
	u.fill(c.fields)
	if refused, ok := t.checkNewUser(c, connection, u); !ok {
		return refused
	}
	if plain := c.text("password"); plain != "" {
		u.password = newPassword(u.id, plain)
	}
	t.users.put(u)
	t.changing(u, nil, c.now)
	t.greet(u, c.fields, c.now)
	return answer(http.StatusCreated, u.view())
}

// connectionForUser finds the connection in which a user is to be created.
func (t *Tenant) connectionForUser(name string) (document, reply, bool) {
	connection := t.connections.find(func(d document) bool { return d["name"] == name })
	switch {
	case connection == nil:
		return nil, badRequest("The connection does not exist.", "inexistent_connection"), false
	case !slices.Contains([]string{"auth0", "email", "sms"}, text(connection, "strategy")):
		return nil, badRequest("The connection must be a database or passwordless connection.", "invalid_body"), false
	case len(textsOf(connection["enabled_clients"])) == 0:
		// Auth0 counts a connection that no application uses as disabled.
		return nil, badRequest("The connection is disabled.", "connection_disabled"), false
	}
	return connection, reply{}, true
}

// checkNewUser applies the rules that go beyond the form of the body.
func (t *Tenant) checkNewUser(c *call, connection document, u *user) (reply, bool) {
	if text(connection, "strategy") == "auth0" {
		if u.email == "" && u.username == "" {
			return missingProperty("email"), false
		}
		if c.text("password") == "" {
			return missingProperty("password"), false
		}
		if refused, ok := checkUsername(connection, u.username, true); !ok {
			return refused, false
		}
	}
	if refused, ok := u.checkMetadata(); !ok {
		return refused, false
	}
	if t.users.byID[u.id] != nil || t.taken(u.connection, u.email, u.username) {
		return conflict("The user already exists.", "auth0_idp_error"), false
	}
	return checkPassword(connection, u, c.text("password"))
}

func missingProperty(name string) reply {
	return badRequest("Payload validation error: 'Missing required property: "+name+"'.", "invalid_body")
}

func (t *Tenant) taken(connection, email, username string) bool {
	return email != "" && t.users.in(connection, email) != nil ||
		username != "" && t.users.named(connection, username) != nil
}

func checkUsername(connection document, username string, creating bool) (reply, bool) {
	options, _ := connection["options"].(map[string]any)
	wanted, _ := options["requires_username"].(bool)
	name := text(connection, "name")
	switch {
	case username != "" && !wanted:
		return badRequest("Cannot set username for connection without requires_username", "invalid_body"), false
	case username == "" && wanted && creating:
		return badRequest("Missing username for "+name+" connection with requires_username enabled", "invalid_body"), false
	case !nameLetter().MatchString(username):
		return badRequest("Username can only contain alphanumeric characters and the following characters: '_', '+', '-', '.', '!', '#', '$', '^', '`', '~', '@' and '''.", "invalid_body"), false
	}
	return reply{}, true
}

// checkPassword applies the connection's policy to a new password, if any.
func checkPassword(connection document, u *user, plain string) (reply, bool) {
	if plain == "" {
		return reply{}, true
	}
	options, _ := connection["options"].(map[string]any)
	if !strongEnough(text(options, "passwordPolicy"), plain, number(nested(options, "password_complexity_options"), "min_length")) {
		return badRequest("PasswordStrengthError: Password is too weak", ""), false
	}
	if on, _ := nested(options, "password_no_personal_info")["enable"].(bool); on && personal(u, plain) {
		return badRequest("PasswordNoUserInfoError: Password contains user information", ""), false
	}
	return reply{}, true
}

// fill sets what the body says about the user.
func (u *user) fill(fields map[string]any) {
	var p profile
	if u.profile != nil {
		p = *u.profile
	}
	for key, into := range map[string]*string{
		"name": &u.name, "nickname": &u.nickname, "picture": &u.picture, "username": &u.username,
		"given_name": &p.givenName, "family_name": &p.familyName, "phone_number": &p.phone,
	} {
		if value, ok := fields[key]; ok {
			*into, _ = value.(string)
		}
	}
	if p != (profile{}) {
		u.profile = &p
	}
	u.username = strings.ToLower(u.username)
	if email, ok := fields["email"].(string); ok {
		u.email = strings.ToLower(email)
	}
	u.fillFlags(fields)
	u.appMeta = mergeMetadata(u.appMeta, fields["app_metadata"])
	u.userMeta = mergeMetadata(u.userMeta, fields["user_metadata"])
}

func (u *user) fillFlags(fields map[string]any) {
	if on, ok := fields["email_verified"].(bool); ok {
		u.set(verified, on)
	}
	if on, ok := fields["blocked"].(bool); ok {
		u.set(blocked, on)
		u.set(blockedKnown, true)
	}
	if on, ok := fields["phone_verified"].(bool); ok {
		u.set(phoneVerified, on)
		u.set(phoneVerifiedKnown, true)
	}
}

// mergeMetadata merges at the first level only: null takes a property out, an
// empty object takes out all of them.
func mergeMetadata(old []byte, value any) []byte {
	patch, ok := value.(map[string]any)
	if !ok {
		return old
	}
	merged := map[string]any{}
	if len(patch) > 0 && old != nil {
		merged = toObject(json.RawMessage(old))
	}
	maps.Copy(merged, patch)
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return compact(merged)
}

func compact(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // it came out of JSON
	}
	return data
}

// forbiddenMetadata are the keys that app_metadata may not have.
var forbiddenMetadata = []string{
	"__tenant", "_id", "blocked", "clientID", "created_at", "email", "email_verified", "globalClientID",
	"global_client_id", "identities", "lastIP", "lastLogin", "loginsCount", "metadata", "multifactor",
	"multifactor_last_modified", "updated_at", "user_id",
}

// checkMetadata applies what is documented about metadata and its size.
func (u *user) checkMetadata() (reply, bool) {
	for name, data := range map[string][]byte{"app_metadata": u.appMeta, "user_metadata": u.userMeta} {
		if data == nil {
			continue
		}
		for key := range toObject(json.RawMessage(data)) {
			if name == "app_metadata" && slices.Contains(forbiddenMetadata, key) {
				return badRequest("Payload validation error: 'Invalid property "+key+"' on property app_metadata.", "invalid_body"), false
			}
			if strings.ContainsAny(key, ".$") {
				return badRequest("Payload validation error: 'Invalid property name "+key+"' on property "+name+".", "invalid_body"), false
			}
		}
	}
	size := len(u.appMeta) + len(u.userMeta)
	if size > 0 && len(compact(u.view())) > largestProfile {
		return badRequest("User profile exceeds the maximum size of 10 KB", "invalid_body"), false
	}
	return reply{}, true
}

// readUser is GET /api/v2/users/{id}.
func (t *Tenant) readUser(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	return answer(http.StatusOK, selected(u.view(), c.query))
}

// readUsersByEmail is GET /api/v2/users-by-email. Addresses are kept in lower
// case and compared as they are, so one with capitals finds nobody.
func (t *Tenant) readUsersByEmail(c *call) reply {
	email := c.query.Get("email")
	if email == "" {
		return badRequest("Query validation error: 'Missing required property: email'.", "invalid_query_string")
	}
	views := []any{}
	for _, u := range t.users.withEmail(email) {
		views = append(views, selected(u.view(), c.query))
	}
	return answer(http.StatusOK, views)
}

// deleteUser is DELETE /api/v2/users/{id}, which is content with a user that is
// not there.
func (t *Tenant) deleteUser(c *call) reply {
	if u := t.users.byID[c.PathValue("id")]; u != nil {
		t.drop(u, c.now)
	}
	return reply{status: http.StatusNoContent}
}

func (t *Tenant) drop(u *user, now time.Time) {
	before := *u
	for _, m := range slices.Clone(u.roles) {
		m.role.leave(u)
	}
	t.changing(u, &before, now)
	t.users.remove(u, t.config.SearchDelay > 0)
}
