package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	sandbox "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func TestReadyTellsTheEncryptionAndABackupUsesIt(t *testing.T) {
	t.Parallel()
	certificate, key := serverCertificate(t)
	cluster, err := sandbox.Settings{Parameters: map[string]string{
		"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key,
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Stop()
	u, err := url.Parse(cluster.DSN(pg.Maintenance).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "sslmode=verify-ca&sslrootcert=" + url.PathEscape(certificate)
	dsn := redact.NewSecret(u.String())
	receipt, err := ready(dsn).Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.TLS != "TLS 1.3" {
		t.Errorf("receipt = %+v, %v", receipt, err)
	}
	execute(t, dsn, "create table t (id int); insert into t values (1)")
	// By itself pg_dump reaches the server only if it is given the certificate too.
	for _, level := range []postgres.Level{postgres.Full, postgres.Counts} {
		b := backup(dsn, t.TempDir())
		b.Level = level
		if made, err := b.Run(t.Context(), tasktest.Env(t)); err != nil || made.Rows != 1 {
			t.Errorf("backup at level %s = %+v, %v", level, made, err)
		}
	}
}

// serverCertificate makes a certificate of its own authority, in files that the
// server's account can read.
func serverCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "certificate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"localhost"},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if account := unprivileged(t, dir); account != nil {
			if err := os.Chown(file, int(account.UID), int(account.GID)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return certificate, key
}
