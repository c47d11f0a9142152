package auth0

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Server serves a tenant on loopback.
type Server struct {
	// Domain is the address, as in 127.0.0.1:41234; what a client takes for the
	// tenant's domain.
	Domain string

	// URL is the address with its scheme.
	URL string

	// CAFile is the certificate to trust, in PEM; "" over plain HTTP.
	CAFile string

	server *http.Server
	done   chan error
	pool   *x509.CertPool
}

// Start serves the tenant over TLS on a free port of 127.0.0.1. The certificate
// is made for it, by an authority that is made for it too and whose certificate
// is written to ca.pem in dir; the keys are written nowhere.
func (t *Tenant) Start(dir string) (*Server, error) {
	return t.StartTLS(filepath.Join(dir, "ca.pem"), "127.0.0.1:0")
}

// StartTLS does the same at an address of the caller's choice, and writes the
// authority's certificate to a file of the caller's choice, or to none if that
// is "". The certificate is good for localhost, loopback, the address's host and
// the tenant's domain.
func (t *Tenant) StartTLS(caFile, address string) (*Server, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("start the tenant: %w", err)
	}
	certificate, authority, err := newCertificate("localhost", "127.0.0.1", "::1", host, t.hostname())
	if err != nil {
		return nil, fmt.Errorf("start the tenant: %w", err)
	}
	if caFile != "" {
		if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}), 0o600); err != nil {
			return nil, fmt.Errorf("start the tenant: %w", err)
		}
	}
	s := &Server{CAFile: caFile, pool: x509.NewCertPool()}
	s.pool.AddCert(authority)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if err := t.listen(s, "https", address, config); err != nil {
		return nil, err
	}
	return s, nil
}

// hostname is the tenant's domain without a port.
func (t *Tenant) hostname() string {
	if host, _, err := net.SplitHostPort(t.config.Domain); err == nil {
		return host
	}
	return t.config.Domain
}

// StartHTTP serves the tenant over plain HTTP on a free port of 127.0.0.1.
func (t *Tenant) StartHTTP() (*Server, error) { return t.StartPlain("127.0.0.1:0") }

// StartPlain serves the tenant over plain HTTP at an address of the caller's choice.
func (t *Tenant) StartPlain(address string) (*Server, error) {
	s := &Server{}
	if err := t.listen(s, "http", address, nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (t *Tenant) listen(s *Server, scheme, address string, config *tls.Config) error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("start the tenant: %w", err)
	}
	s.Domain, s.done = listener.Addr().String(), make(chan error, 1)
	s.URL = scheme + "://" + s.Domain
	if t.config.Domain == "" && !(scheme == "http" && strings.HasPrefix(t.address, "https")) {
		t.SetDomain(s.Domain)
		t.address = s.URL
	}
	s.server = &http.Server{
		Handler: t, TLSConfig: config, ReadHeaderTimeout: 10 * time.Second,
		// Broken handshakes and connections are what tests do here on purpose.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	go func() {
		if config != nil {
			s.done <- s.server.ServeTLS(listener, "", "")
		} else {
			s.done <- s.server.Serve(listener)
		}
	}()
	return nil
}

// Client returns an HTTP client that trusts the server.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}}
}

// Close stops the server at once. The tenant's state stays, and another Start
// goes on with it. Closing twice is fine.
func (s *Server) Close() error {
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	if served := <-s.done; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	s.server = nil
	if err != nil {
		return fmt.Errorf("stop the tenant: %w", err)
	}
	return nil
}

// newCertificate makes an authority, and from it a certificate for hosts: names
// and addresses, of which empty ones do not count.
func newCertificate(hosts ...string) (tls.Certificate, *x509.Certificate, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true,
		}
	}
	root := template(now.UnixNano(), "Auth0 emulator authority")
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, authorityKey.Public(), authorityKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf := template(now.UnixNano()+1, "Auth0 emulator")
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else if host != "" {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority, nil
}
