package auth0

import (
	"net/http"
	"slices"
	"strings"
)

func linkSchema() *schema {
	return object(nil, anyOf("provider connection_id user_id link_with"))
}

// withProfile is an identity with what its account says of the person, as the
// endpoints that link accounts show it.
func (u *user) withProfile() identityView {
	view := toObject(u.view())
	about := document{}
	for _, key := range []string{"email", "email_verified", "given_name", "family_name", "username", "nickname", "picture", "name", "phone_number"} {
		if value, ok := view[key]; ok && (key != "name" || u.name != "") {
			about[key] = value
		}
	}
	return identityView{u.connection, u.localID(), u.provider(), false, about}
}

// linkIdentity is POST /api/v2/users/{id}/identities: the other account becomes
// an identity of this one and is gone as an account.
func (t *Tenant) linkIdentity(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	id := c.text("user_id")
	if !strings.Contains(id, "|") {
		id = c.text("provider") + "|" + id
	}
	other := t.users.byID[id]
	switch {
	case u == nil || other == nil:
		return noUser()
	case u == other:
		return badRequest("Main account and secondary account are the same.", "invalid_body")
	}
	u.setLinked(append(u.linked(), other.withProfile()))
	t.drop(other, c.now)
	return answer(http.StatusCreated, append([]identityView{u.withProfile()}, u.linked()...))
}

// linked returns the identities of a user that were accounts before.
func (u *user) linked() []identityView {
	if u.profile == nil || u.profile.linked == nil {
		return nil
	}
	return slices.Clone(*u.profile.linked)
}

func (u *user) setLinked(to []identityView) {
	var p profile
	if u.profile != nil {
		p = *u.profile
	}
	p.linked = &to
	u.profile = &p
}

// unlinkIdentity is DELETE /api/v2/users/{id}/identities/{provider}/{user}: the
// identity is an account again.
func (t *Tenant) unlinkIdentity(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	linked := u.linked()
	at := slices.IndexFunc(linked, func(i identityView) bool {
		return i.Provider == c.PathValue("provider") && i.UserID == c.PathValue("user")
	})
	if at < 0 {
		return badRequest("The identity is not linked to the user.", "invalid_uri")
	}
	alone := linked[at]
	u.setLinked(slices.Delete(linked, at, at+1))
	again := &user{
		id: alone.Provider + "|" + alone.UserID, connection: alone.Connection,
		created: c.now.UnixMilli(), updated: c.now.UnixMilli(),
	}
	again.fill(alone.Profile)
	t.users.put(again)
	t.changing(again, nil, c.now)
	return answer(http.StatusOK, append([]identityView{u.withProfile()}, u.linked()...))
}
