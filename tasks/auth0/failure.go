package auth0

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// A refusal is an answer of the tenant with status 400 or above. The SDK's own
// error has no errorCode, which is what tells one refusal from another.
type refusal struct {
	status  int
	code    string // errorCode, or error of the token endpoint; may be ""
	message string // may quote what was sent, an e-mail address for one
	private bool   // the request was about users, so message is not shown
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("the tenant answered %d", r.status)
	if r.code != "" {
		text += " " + r.code
	}
	// The names of scopes are no secret, and what a person needs.
	if r.message != "" && (!r.private || r.code == "insufficient_scope") {
		text += ": " + r.message
	}
	return text
}

// readRefusal reads the body of the Management API's errors
// ({"statusCode","error","message","errorCode"}) or of the token endpoint's
// ({"error","error_description"}).
func readRefusal(status int, body []byte, private bool) *refusal {
	var b struct {
		Error       string `json:"error"`
		Message     string `json:"message"`
		Code        string `json:"errorCode"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &b) // a proxy's HTML page has none of them
	r := &refusal{status: status, code: b.Code, message: b.Message, private: private}
	if b.Description != "" {
		r.code, r.message = b.Error, b.Description
	}
	return r
}

// status returns the status of the refusal in err's chain, 0 if there is none.
func status(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	return 0
}

// transient tells whether the same request may succeed later: the network, a
// time-out, a server's error. Whether it had its effect is then unknown.
func transient(err error) bool {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status >= 500 || r.status == http.StatusRequestTimeout || r.status == http.StatusTooManyRequests
	}
	_, network := errors.AsType[*networkError](err)
	return network && !untrusted(err)
}

// untrusted tells whether the other side's certificate was refused.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// A networkError is a request without an answer. It wraps the cause alone:
// net/url's error would quote the address, which may hold an id.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }
func (e *networkError) Unwrap() error { return e.err }

// explain gives err the hint that helps, where the cause is one that a person
// can mend.
func explain(err error) error {
	if err == nil || task.HintOf(err) != "" {
		return err
	}
	return task.Hint(err, hint(err))
}

func hint(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return refusalHint(r)
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case unknown:
		return "check the domain: no such host is known here"
	case untrusted(err):
		return "the certificate is not trusted: check the domain, or name the authority's certificate in ca_file"
	case errors.Is(err, context.DeadlineExceeded):
		return "the tenant did not answer in time: check status.auth0.com, and the network from this machine"
	}
	return "check the domain, and that this machine's network, proxy and firewall let it reach the tenant on port 443"
}

func refusalHint(r *refusal) string {
	switch {
	case r.status == http.StatusUnauthorized && r.code == "access_denied":
		return "check client_id and client_secret: the tenant does not accept them"
	case r.status == http.StatusForbidden && r.code == "access_denied":
		return "authorise the application for the Auth0 Management API, with the scopes that the plan needs (a client grant)"
	case r.code == "unauthorized_client":
		return "switch on the grant type that the message names in the application's settings"
	case r.code == "insufficient_scope":
		return "add the scopes that the message names to the application's client grant on the Management API"
	case r.code == "custom_domain_conflict":
		return "the tenant has several custom domains: make one of them its default"
	case r.status == http.StatusUnauthorized:
		return "check that domain is the tenant's own one and not a custom domain: a token is only good where it was issued"
	case r.status >= 500:
		return "the tenant is in trouble: check status.auth0.com, then run again"
	}
	return "look the errorCode up in the documentation of Auth0's Management API"
}

// together joins errors into one that shows every one of them, with all their
// hints. It leaves out nils, and returns nil if nothing else is there.
func together(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	if len(errs) == 0 {
		return nil
	}
	var hints []string
	for _, err := range errs {
		if h := task.HintOf(err); h != "" {
			hints = append(hints, h)
		}
	}
	if len(hints) == 0 {
		return errors.Join(errs...)
	}
	return task.Hint(errors.Join(errs...), strings.Join(hints, "; "))
}
