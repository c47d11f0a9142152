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

// fill makes the data directory of a home: from the cached template where there
// is one, else by initdb, which takes ten times as long and leaves a template.
func fill(ctx context.Context, h *home, p programs, account *command.Account) error {
	template, err := templatePath(ctx, h, p)
	if err != nil {
		return err
	}
	if unpack(template, h.data(), account) == nil {
		return nil
	}
	// Whatever was wrong with the template, initdb needs none and mends it.
	if err := os.RemoveAll(h.data()); err != nil {
		return err
	}
	_, err = command.Command{
		Argv: append([]string{p.initdb, "--pgdata=" + h.data()}, initdbOptions...),
		Env:  []string{"LC_ALL=" + locale}, Dir: h.dir, As: account,
	}.Output(ctx)
	if err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	// Packed in the home, which is swept, then renamed: of two that do this at
	// once the later wins, and no reader sees half a file. Without it the next
	// start is slower, nothing else.
	packed := filepath.Join(h.dir, "template")
	if pack(h.data(), packed) == nil {
		_ = os.Rename(packed, template)
	}
	return nil
}

// templatePath names the template of this account, this PostgreSQL and these
// options. It lies beside the homes, so that it needs no home directory.
func templatePath(ctx context.Context, h *home, p programs) (string, error) {
	version, err := command.Command{Argv: []string{p.postgres, "--version"}}.Output(ctx)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(version + strings.Join(initdbOptions, " ")))
	name := fmt.Sprintf("phasegate-pgtemplate-%d-%s.tar.zst", os.Geteuid(), hex.EncodeToString(key[:6]))
	return filepath.Join(filepath.Dir(h.dir), name), nil
}
