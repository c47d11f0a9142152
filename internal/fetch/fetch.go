// Package fetch looks at a web page as a client from outside does: one request,
// a new connection, no redirect followed, with errors that a person can act on.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// bodyLimit is how much of a body is read, in bytes: more than any health or
// documentation page, less than what would hurt.
const bodyLimit = 1 << 20

// A Client gets pages. It keeps no connection between two requests.
type Client struct{ http *http.Client }

// An Answer is what a server sent, whatever its status.
type Answer struct {
	Status   int           // HTTP status code
	Location string        // where a redirect points to, else ""
	Body     []byte        // its first MiB
	Latency  time.Duration // from the call to the body's end, connecting included
}

// New returns a Client that trusts the authorities in the PEM file caFile beside
// the system's. "" is the system's alone.
func New(caFile string) (*Client, error) {
	roots, err := authorities(caFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
		ForceAttemptHTTP2: true,
	}
	return &Client{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, task.Hint(fmt.Errorf("read the certificate authorities from %s: it holds no certificate", file),
			"name a file with one or more PEM blocks of type CERTIFICATE")
	}
	return roots, nil
}

// CheckURL says what is wrong with a page's address, or returns nil.
func CheckURL(address string) error { return task.CheckURL(address) }

// Get asks for the page once. The error wraps the context's cause if the
// context ended first; it names the page without user, password and query.
func (c *Client) Get(ctx context.Context, address string, headers map[string]redact.Secret) (Answer, error) {
	if err := CheckURL(address); err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("get %s: the request cannot be made", Shown(address))
	}
	request.Header.Set("User-Agent", "phasegate")
	for name, value := range headers {
		request.Header.Set(name, value.Reveal())
	}
	start := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, failure(ctx, address, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err != nil {
		return Answer{}, failure(ctx, address, err)
	}
	return Answer{
		Status: response.StatusCode, Location: response.Header.Get("Location"), Body: body, Latency: time.Since(start),
	}, nil
}

// Shown is an address without what may be secret in it.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the page"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func failure(ctx context.Context, address string, err error) error {
	page := Shown(address)
	if ctx.Err() != nil {
		return fmt.Errorf("get %s: %w", page, context.Cause(ctx))
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return task.Hint(fmt.Errorf("get %s: host %s not found", page, dns.Name), "check the host name in the address")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return task.Hint(fmt.Errorf("get %s: %w", page, syscall.ECONNREFUSED),
			"nothing listens there: check that the server runs, and the port in the address")
	}
	if unknown, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return task.Hint(fmt.Errorf("get %s: %w", page, unknown),
			"name the authority that signed the server's certificate in ca_file, or correct the host name")
	}
	// url.Error would repeat the address with its query.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return fmt.Errorf("get %s: %w", page, err)
}
