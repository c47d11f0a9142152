package auth0

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// access is how a tenant is reached: what every task of this package is
// configured with.
type access struct {
	domain       string
	clientID     string
	clientSecret redact.Secret
	caFile       string
}

var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?$`)

// validate reports all that is wrong with the configuration, offline.
func (a access) validate() error {
	var errs []error
	if !hostname.MatchString(a.domain) {
		errs = append(errs, task.Hint(fmt.Errorf("%q is not a tenant's domain", a.domain),
			"write the domain alone, such as example.eu.auth0.com: it is always reached by https"))
	}
	if a.clientID == "" {
		errs = append(errs, errors.New("client_id is empty"))
	}
	if a.clientSecret.IsZero() {
		errs = append(errs, errors.New("client_secret is empty"))
	}
	return together(errs...)
}

// url returns an address on the tenant.
func (a access) url(path string) string { return "https://" + a.domain + path }

// transport returns a plain HTTPS transport that trusts the system's
// certificates and those of the CA file.
func (a access) transport() (*http.Transport, error) {
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

func (a access) roots() (*x509.CertPool, error) {
	if a.caFile == "" {
		return nil, nil // the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(a.caFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, task.Hint(fmt.Errorf("read ca_file %s: no certificate in it", a.caFile),
			"it holds certificates in PEM form, each between BEGIN CERTIFICATE and END CERTIFICATE")
	}
	return roots, nil
}
