// Package auth0 moves the users of a PostgreSQL table into an Auth0 tenant, and
// proves that they arrived.
//
// Which table, which columns and which roles is configuration: nothing here
// knows an application. Every account gets a user_id that follows from the row
// (a prefix and the row's own id), so that after any interruption one read by id
// tells for certain whether the account is there. That is what makes a second
// run harmless.
//
// The tenant is reached through the interface [tenant], of which sdk.go is the
// one implementation, on github.com/auth0/go-auth0. Under the SDK lies our own
// transport: it holds the token, keeps below the tenant's rate limits, waits out
// what is refused for being too fast, and turns refusals into errors that say
// which kind they are.
//
// No e-mail address, name, password or token is written to a log, an error or a
// receipt. Files about single users hold ids only and have mode 0600.
package auth0
