package postgres

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"github.com/medlogistics/phasegate/runner/task"
)

// keys are what a backup is encrypted for, and what it is read back with.
type keys struct {
	recipients []age.Recipient
	throwaway  []age.Identity
}

// method names the encryption in the metadata.
func (k keys) method() string {
	if len(k.recipients) == 0 {
		return ""
	}
	return encryption
}

const encryption = "age"

// keys returns the recipients of the backup, if it has any, and one more: a key
// that is made here, with which the file is proven while it is written, and
// which exists in this call's memory only.
func (b *Backup) keys() (keys, error) {
	recipients, err := b.allRecipients()
	if err != nil || len(recipients) == 0 {
		return keys{}, err
	}
	throwaway, err := age.GenerateX25519Identity()
	if err != nil {
		return keys{}, fmt.Errorf("make a key to read the backup back with: %w", err)
	}
	return keys{append(recipients, throwaway.Recipient()), []age.Identity{throwaway}}, nil
}

// allRecipients reads the recipients of the plan and those of its file.
func (b *Backup) allRecipients() ([]age.Recipient, error) {
	var list []age.Recipient
	for i, line := range b.Recipients {
		recipient, err := parseRecipient(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("read recipient %d: %w", i+1, err)
		}
		list = append(list, recipient)
	}
	if b.RecipientsFile == "" {
		return list, nil
	}
	file, err := os.Open(string(b.RecipientsFile))
	if err != nil {
		return nil, fmt.Errorf("read the recipients: %w", err)
	}
	defer file.Close()
	found := len(list)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		recipient, err := parseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("read the recipients %s: line %d: %w", b.RecipientsFile, n, err)
		}
		list = append(list, recipient)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the recipients %s: %w", b.RecipientsFile, err)
	}
	if len(list) == found {
		return nil, task.Hint(fmt.Errorf("read the recipients %s: there is none in it", b.RecipientsFile), recipientHint)
	}
	return list, nil
}

const recipientHint = "write one a line: a public key of age (age1...), or of SSH (ssh-ed25519 ... or ssh-rsa ...)"

// parseRecipient reads a public key. Its error does not quote it: what is given
// by mistake may be a private one.
func parseRecipient(line string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-"):
		return nil, task.Hint(errors.New("it is a private key"), "give the public one, and take the private one off this machine: age-keygen -y tells it")
	case strings.HasPrefix(line, "ssh-"):
		if recipient, err := agessh.ParseRecipient(line); err == nil {
			return recipient, nil
		}
	case strings.HasPrefix(line, "age1"):
		if recipient, err := age.ParseX25519Recipient(line); err == nil {
			return recipient, nil
		}
	}
	return nil, task.Hint(errors.New("it is no public key that a backup can be encrypted for"), recipientHint)
}

// longestIdentity bounds the file of an identity, in bytes.
const longestIdentity = 1 << 20

// ReadIdentities reads the private keys with which an encrypted backup can be
// read: a file of age's, or a private key of SSH without a passphrase.
func ReadIdentities(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, longestIdentity))
	if err != nil {
		return nil, fmt.Errorf("read the identity %s: %w", path, err)
	}
	if strings.HasPrefix(string(raw), "-----BEGIN") {
		identity, err := agessh.ParseIdentity(raw)
		if err != nil {
			return nil, task.Hint(fmt.Errorf("read the identity %s: it is no private key that can be used", path),
				"if it has a passphrase, take that off a copy: ssh-keygen -p")
		}
		return []age.Identity{identity}, nil
	}
	identities, err := age.ParseIdentities(strings.NewReader(string(raw)))
	if err != nil {
		return nil, task.Hint(fmt.Errorf("read the identity %s: there is no private key in it that can be used", path),
			"name a file that age-keygen has written, or a private key of SSH")
	}
	return identities, nil
}
