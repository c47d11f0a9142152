package approval

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/runner/task"
)

// A Signer is a key on the list of those who may sign.
type Signer struct {
	Name   string   // the person's account
	Groups []string // that the person belongs to
	Key    ssh.PublicKey

	after, before time.Time // the key is valid between; zero is no limit
}

// Valid tells whether the list lets the key sign at that time.
func (s Signer) Valid(at time.Time) bool {
	return (s.after.IsZero() || !at.Before(s.after)) && (s.before.IsZero() || at.Before(s.before))
}

// Is tells whether who is the person's name, or a group that it belongs to.
func (s Signer) Is(who string) bool { return Same(s.Name, who) || s.belongs(who) }

// belongs tells whether the person is in a group of that name.
func (s Signer) belongs(group string) bool {
	return slices.ContainsFunc(s.Groups, func(own string) bool { return Same(own, group) })
}

// Signers is the list of who may sign, in OpenSSH's allowed-signers form
// (ssh-keygen(1), ALLOWED SIGNERS): principals, options, key. The first
// principal is the person's account, any others are groups:
//
//	alice,dba namespaces="phasegate" ssh-ed25519 AAAA...
type Signers []Signer

// ReadSigners reads the list in a file. Its errors name the line.
func ReadSigners(path string) (Signers, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the signers: %w", err)
	}
	return ParseSigners(path, content)
}

// ParseSigners reads the list in the content of a file of that name.
func ParseSigners(path string, content []byte) (Signers, error) {
	var signers Signers
	for i, line := range bytes.Split(content, []byte("\n")) {
		line := strings.TrimSpace(string(line))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		signer, err := parseSigner(line)
		if err == nil {
			err = signers.fits(signer)
		}
		if err != nil {
			return nil, task.Hint(fmt.Errorf("%s:%d: %w", path, i+1, err),
				`write a line a key, such as: alice,dba namespaces="phasegate" ssh-ed25519 AAAA...`)
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("%s: nobody is in it, so nobody could ever approve", path)
	}
	return signers, nil
}

// fits holds that a key belongs to one person only, that a person is in the same
// groups with every key, and that no name is both a person's and a group's: who is
// meant by it would depend on the order of the lines.
func (s Signers) fits(signer Signer) error {
	if other, ok := s.ByKey(signer.Key); ok && !Same(other.Name, signer.Name) {
		return fmt.Errorf("the key of %s is that of %s: one key is one person", signer.Name, other.Name)
	}
	if other, ok := s.named(signer.Name); ok && !sameGroups(other, signer) {
		return fmt.Errorf("%s is in other groups on a line before: name the same ones on each", signer.Name)
	}
	for _, other := range append(slices.Clip(s), signer) {
		for _, both := range []string{other.Name, signer.Name} {
			if signer.belongs(both) || other.belongs(both) {
				return fmt.Errorf("%s is a person and a group: give one of them another name", both)
			}
		}
	}
	return nil
}

func sameGroups(a, b Signer) bool {
	lackedBy := func(s Signer) func(string) bool { return func(group string) bool { return !s.belongs(group) } }
	return !slices.ContainsFunc(a.Groups, lackedBy(b)) && !slices.ContainsFunc(b.Groups, lackedBy(a))
}

// ByKey returns the signer with that key.
func (s Signers) ByKey(key ssh.PublicKey) (Signer, bool) {
	wanted := key.Marshal()
	for _, signer := range s {
		if bytes.Equal(signer.Key.Marshal(), wanted) {
			return signer, true
		}
	}
	return Signer{}, false
}

// named returns the person of that account. One who is not on the list belongs
// to no group.
func (s Signers) named(account string) (Signer, bool) {
	for _, signer := range s {
		if Same(signer.Name, account) {
			return signer, true
		}
	}
	return Signer{Name: account}, false
}

// Names returns the people on the list, each once, in its order.
func (s Signers) Names() []string {
	var names []string
	for _, signer := range s {
		if !slices.ContainsFunc(names, func(name string) bool { return Same(name, signer.Name) }) {
			names = append(names, signer.Name)
		}
	}
	return names
}

func parseSigner(line string) (Signer, error) {
	principals, rest, ok := strings.Cut(line, " ")
	if !ok {
		return Signer{}, fmt.Errorf("there is no key")
	}
	names := strings.Split(principals, ",")
	for _, name := range names {
		if err := account(name); err != nil {
			return Signer{}, err
		}
	}
	// What follows the principals is a line of authorized_keys.
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
	if err != nil {
		return Signer{}, fmt.Errorf("there is no key that can be read: %w", err)
	}
	signer := Signer{Name: names[0], Groups: names[1:], Key: key}
	for _, option := range options {
		if err := signer.limit(option); err != nil {
			return Signer{}, err
		}
	}
	return signer, nil
}

// account holds that a principal is one account or group: journals keep it.
func account(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, `*?!"`):
		return fmt.Errorf("principal %q is a pattern: name one account or group", name)
	case Same(name, Initiator):
		return fmt.Errorf("principal %q is what a plan calls whoever began the run: use another name", name)
	case strings.Contains(name, "@"):
		return fmt.Errorf("a principal looks like an e-mail address, and journals hold none: use the account's name")
	}
	return nil
}

// limit takes an option of the line.
func (s *Signer) limit(option string) error {
	name, value, _ := strings.Cut(option, "=")
	value = strings.Trim(value, `"`)
	var err error
	switch strings.ToLower(name) {
	case "namespaces":
		if !slices.Contains(strings.Split(value, ","), Namespace) {
			return fmt.Errorf("the key may not sign for the namespace %q: it has %q", Namespace, value)
		}
	case "valid-after":
		s.after, err = stamp(value)
	case "valid-before":
		s.before, err = stamp(value)
	default:
		return fmt.Errorf("option %q is not understood: namespaces, valid-after and valid-before are", name)
	}
	return err
}

// stamp reads a time as ssh-keygen writes it, YYYYMMDD[HHMM[SS]][Z], with local
// time where Z is missing.
func stamp(value string) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) != len(digits) {
			continue
		}
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write YYYYMMDD or YYYYMMDDHHMMZ", value)
}
