package auth0

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Access is how a tenant is reached: the keys that every task of this package has.
type Access struct {
	// The tenant's domain, such as example.eu.auth0.com.
	Domain string `with:"domain,required"`

	// The client id of a machine-to-machine application with a grant on the
	// Management API.
	ClientID string `with:"client_id,required"`

	// The application's secret.
	ClientSecret redact.Secret `with:"client_secret,required"`

	// A file of PEM certificates to trust beside the system's.
	CAFile string `with:"ca_file"`

	// The part of each of the tenant's rate-limit buckets that may be drawn on.
	// What is beyond it is left for other traffic.
	Share task.Percent `with:"share"`
}

var hostname = pattern.Lazy(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?$`)

// validate reports all that is wrong with the configuration, offline.
func (a Access) validate() error {
	var errs []error
	if !hostname().MatchString(a.Domain) {
		errs = append(errs, task.Hint(fmt.Errorf("%q is not a tenant's domain", a.Domain),
			"write the domain alone, such as example.eu.auth0.com: it is always reached by https"))
	}
	if a.ClientID == "" {
		errs = append(errs, errors.New("client_id is empty"))
	}
	if a.ClientSecret.IsZero() {
		errs = append(errs, errors.New("client_secret is empty"))
	}
	if a.Share <= 0 {
		errs = append(errs, errors.New("share is 0%: nothing could be sent"))
	}
	return together(errs...)
}

// url returns an address on the tenant.
func (a Access) url(path string) string { return "https://" + a.Domain + path }

// transport returns a plain HTTPS transport that trusts the system's
// certificates and those of the CA file.
func (a Access) transport() (*http.Transport, error) {
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   mostWorkers,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
	}, nil
}

func (a Access) roots() (*x509.CertPool, error) {
	if a.CAFile == "" {
		return nil, nil // the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, task.Hint(fmt.Errorf("read ca_file %s: no certificate in it", a.CAFile),
			"it holds certificates in PEM form, each between BEGIN CERTIFICATE and END CERTIFICATE")
	}
	return roots, nil
}
