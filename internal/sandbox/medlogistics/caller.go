package medlogistics

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A caller is the user on whose behalf a request is made.
type caller struct {
	ID     string   `json:"id"`
	Email  string   `json:"email"`
	Role   string   `json:"role"`
	Roles  []string `json:"roles"` // by which rights are judged: the token's, or the one in the database
	Method string   `json:"authenticated_by"`
	active bool
}

func (c caller) has(role string) bool { return slices.Contains(c.Roles, role) }

// How a caller can show who it is.
const (
	byKey   = "api_key"
	byToken = "jwt"
	byNone  = "none"
)

// A refusal is an answer to a caller that is not let in: 401 for one that is
// not known, 403 for one that may not.
type refusal struct {
	status int
	detail string
}

func (r refusal) Error() string { return r.detail }

// identify returns the caller and by what it was known. The error is a refusal,
// or one of the database.
func (h *handler) identify(r *http.Request) (who caller, method string, err error) {
	scheme, token, bearer := strings.Cut(r.Header.Get("Authorization"), " ")
	key := r.Header.Get("X-API-Key")
	switch {
	case bearer && strings.EqualFold(scheme, "Bearer"):
		method = byToken
		who, err = h.byToken(r.Context(), token)
	case key != "":
		method = byKey
		who, err = h.byKey(r.Context(), key)
	default:
		return who, byNone, refusal{http.StatusUnauthorized, "Not authenticated"}
	}
	if err == nil && !who.active {
		err = refusal{http.StatusForbidden, "Inactive user"}
	}
	who.Method = method
	return who, method, err
}

func (h *handler) byKey(ctx context.Context, key string) (caller, error) {
	who, err := h.user(ctx, "api_key", key)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return who, refusal{http.StatusUnauthorized, "Invalid API key"}
	case noColumn(err):
		return who, refusal{http.StatusUnauthorized, "API keys are not accepted any more"}
	}
	who.Roles = []string{who.Role}
	return who, err
}

func (h *handler) byToken(ctx context.Context, token string) (caller, error) {
	claims, err := h.tokens.verify(ctx, token)
	if err != nil {
		h.log.Info("token refused", "reason", err.Error())
		return caller{}, refusal{http.StatusUnauthorized, "Invalid token"}
	}
	who, err := h.user(ctx, "auth0_user_id", claims.subject)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return who, refusal{http.StatusUnauthorized, "Unknown user"}
	case noColumn(err):
		return who, refusal{http.StatusUnauthorized, "Tokens are not accepted yet"}
	}
	who.Roles = claims.roles
	return who, err
}

// noColumn tells whether the database has no such column: it is from before the
// cut-over, or from after the end of API keys.
func noColumn(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == "42703" // undefined_column
}

// user looks a user up by a column of the program's choosing.
func (h *handler) user(ctx context.Context, column, value string) (who caller, err error) {
	sql := "select id::text, email, role::text, is_active from users where " + column + " = $1"
	err = h.read(ctx, func(db querier) error {
		return db.QueryRow(ctx, sql, value).Scan(&who.ID, &who.Email, &who.Role, &who.active)
	})
	return who, err
}
