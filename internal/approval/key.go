package approval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/medlogistics/phasegate/runner/task"
)

// A Keyring finds the key that a person signs with.
type Keyring struct {
	File       string                            // a private key, or the public one of a key that the agent has; "" is the agent's
	Agent      string                            // the agent's socket (SSH_AUTH_SOCK); "" where there is none
	Passphrase func(file string) ([]byte, error) // asks for a key's; nil where nobody can be asked
}

// Key returns the key to sign with, and whose it is. With no file it is the first
// of the agent's that is on the list. Close closes the agent.
func (k Keyring) Key(ctx context.Context, signers Signers) (key ssh.Signer, signer Signer, closeAgent func(), err error) {
	keys, closeAgent, err := k.keys(ctx)
	if err != nil {
		return nil, Signer{}, nil, err
	}
	for _, key := range keys {
		if signer, ok := signers.ByKey(key.PublicKey()); ok {
			return key, signer, closeAgent, nil
		}
	}
	closeAgent()
	var have []string
	for _, key := range keys {
		have = append(have, ssh.FingerprintSHA256(key.PublicKey()))
	}
	return nil, Signer{}, nil, task.Hint(fmt.Errorf("none of these keys is among the signers: %s", list(have)),
		"name yours with --key FILE, or load it with ssh-add; the plan lists who may sign")
}

func list(have []string) string {
	if len(have) == 0 {
		return "(the agent has none)"
	}
	return strings.Join(have, ", ")
}

func (k Keyring) keys(ctx context.Context) ([]ssh.Signer, func(), error) {
	if k.File == "" {
		return k.fromAgent(ctx, nil)
	}
	content, err := os.ReadFile(k.File)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key: %w", err)
	}
	if public, _, _, _, err := ssh.ParseAuthorizedKey(content); err == nil {
		return k.fromAgent(ctx, public)
	}
	key, err := ssh.ParsePrivateKey(content)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		key, err = k.unlock(content)
	}
	if err != nil {
		return nil, nil, task.Hint(fmt.Errorf("read key %s: %w", k.File, err),
			"name an OpenSSH private key, or a .pub whose key the agent has")
	}
	return []ssh.Signer{key}, func() {}, nil
}

func (k Keyring) unlock(content []byte) (ssh.Signer, error) {
	if k.Passphrase == nil {
		return nil, errors.New("it has a passphrase, and nobody can be asked for it here")
	}
	passphrase, err := k.Passphrase(k.File)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKeyWithPassphrase(content, passphrase)
}

// fromAgent returns the agent's keys, or the one that was asked for.
func (k Keyring) fromAgent(ctx context.Context, only ssh.PublicKey) ([]ssh.Signer, func(), error) {
	if k.Agent == "" {
		return nil, nil, task.Hint(errors.New("there is no key to sign with: no ssh-agent answers here"),
			"name a private key with --key FILE, or start ssh-agent and load it with ssh-add")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", k.Agent)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the ssh-agent: %w", err)
	}
	keys, err := agent.NewClient(conn).Signers()
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("ask the ssh-agent for its keys: %w", err)
	}
	if only != nil {
		wanted := only.Marshal()
		var found []ssh.Signer
		for _, key := range keys {
			if bytes.Equal(key.PublicKey().Marshal(), wanted) {
				found = append(found, key)
			}
		}
		keys = found
	}
	return keys, func() { _ = conn.Close() }, nil
}
