package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
)

// initdbOptions make the data directory. Over TCP the password counts; the
// socket lies in a directory that only the server's account and root can enter.
var initdbOptions = []string{
	"--username=" + superuser, "--encoding=UTF8", "--locale=" + locale, "--lc-messages=C",
	"--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums", "--no-sync",
}

// dataDir is the data directory of the cluster in dir.
func dataDir(dir string) string { return filepath.Join(dir, "data") }

// fill makes the data directory of the cluster in dir: from the cached template where there
// is one, else by initdb, which takes ten times as long and leaves a template.
func fill(ctx context.Context, dir string, p programs, account *command.Account) error {
	data := dataDir(dir)
	template, err := templatePath(ctx, filepath.Dir(dir), p)
	if err != nil {
		return err
	}
	if unpack(template, data, account) == nil {
		return nil
	}
	// Whatever was wrong with the template, initdb needs none and mends it.
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	_, err = command.Command{
		Argv: append([]string{p.initdb, "--pgdata=" + data}, initdbOptions...),
		Env:  []string{"LC_ALL=" + locale}, Dir: dir, As: account,
	}.Output(ctx)
	if err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	// Packed in the home, which is swept, then renamed: of two that do this at
	// once the later wins, and no reader sees half a file. Without it the next
	// start is slower, nothing else.
	packed := filepath.Join(dir, "template")
	if pack(data, packed) == nil {
		_ = os.Rename(packed, template)
	}
	return nil
}

// templatePath names the template of this account, this PostgreSQL and these
// options. It lies beside the homes, so that it needs no home directory.
func templatePath(ctx context.Context, base string, p programs) (string, error) {
	version, err := command.Command{Argv: []string{p.postgres, "--version"}}.Output(ctx)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(version + strings.Join(initdbOptions, " ")))
	name := fmt.Sprintf("phasegate-pgtemplate-%d-%s.tar.zst", os.Geteuid(), hex.EncodeToString(key[:6]))
	return filepath.Join(base, name), nil
}
