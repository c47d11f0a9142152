// Package approval is what people say of a gate: statements that they sign with
// their SSH keys, the list of who may sign, and the rules by which a gate opens.
//
// A statement is one line of JSON. Its signature has OpenSSH's format
// (PROTOCOL.sshsig) with the namespace "phasegate", so that anybody can verify
// it with nothing but OpenSSH:
//
//	ssh-keygen -Y verify -f signers -I NAME -n phasegate -s statement.sig < statement
package approval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/runner/task"
)

// Namespace is what signatures are made for, so that none made for something
// else passes for an approval.
const Namespace = "phasegate"

// Version is the form of a statement.
const Version = 1

// Ways by which a person says it.
const (
	ViaTerminal = "terminal" // typed where the run was
	ViaSSH      = "ssh"      // signed
	ViaGitHub   = "github"   // a review of an environment; when it was given is not known, only when it was seen
)

// A Decision is what one person said of a gate.
type Decision struct {
	Version  int        `json:"phasegate"`      // of this form
	Approved bool       `json:"approved"`       // rejected if not
	By       string     `json:"by"`             // account, or name in the list of signers
	Via      string     `json:"via"`            // how it was said
	At       time.Time  `json:"at"`             // when, by the clock of who said it, UTC
	Seen     bool       `json:"seen,omitempty"` // at is when it was seen: when it was said is unknown, GitHub does not tell
	Reason   string     `json:"reason"`         // of a rejection; "" if none was given
	Covers   task.Basis `json:"covers"`         // what it rests on

	Environment string `json:"environment,omitempty"` // that was reviewed
	Review      string `json:"review,omitempty"`      // which review: the forge's job, and the person's how manieth there

	heard time.Time // when it came into the journal; zero if it is not there, or not by itself
}

// Sign has a person's key sign the decision.
func Sign(d Decision, key ssh.Signer) (task.Statement, error) {
	d.Version, d.Via = Version, ViaSSH
	text, err := json.Marshal(d)
	if err != nil {
		return task.Statement{}, fmt.Errorf("encode the statement: %w", err)
	}
	signature, err := sshsig.Sign(bytes.NewReader(text), key, sshsig.HashSHA512, Namespace)
	if err != nil {
		return task.Statement{}, fmt.Errorf("sign with key %s: %w", ssh.FingerprintSHA256(key.PublicKey()), err)
	}
	return task.Statement{Text: string(text), Signature: string(sshsig.Armor(signature))}, nil
}

// Verify returns the decision that a statement holds and the key that it was
// signed with. It does not say whose key that is.
func Verify(said task.Statement) (Decision, ssh.PublicKey, error) {
	var d Decision
	if err := json.Unmarshal([]byte(said.Text), &d); err != nil {
		return d, nil, fmt.Errorf("read the statement: %w", err)
	}
	if d.Version != Version {
		return d, nil, fmt.Errorf("the statement has form %d, and this phasegate knows %d", d.Version, Version)
	}
	signature, err := sshsig.Unarmor([]byte(said.Signature))
	if err != nil {
		return d, nil, fmt.Errorf("read the signature: %w", err)
	}
	err = sshsig.Verify(bytes.NewReader([]byte(said.Text)), signature, signature.PublicKey, signature.HashAlgorithm, Namespace)
	if err != nil {
		return d, nil, fmt.Errorf("verify the signature of %s: %w", d.By, err)
	}
	return d, signature.PublicKey, nil
}

// Read returns the decision that a statement holds, by whose key it was signed.
// The error says why it counts for nothing: a signature that does not fit, a key
// that is not on the list, a name that is another's.
func Read(said task.Statement, signers Signers) (Decision, Signer, error) {
	d, key, err := Verify(said)
	if err != nil {
		return d, Signer{}, err
	}
	signer, ok := signers.ByKey(key)
	if !ok {
		return d, Signer{}, fmt.Errorf("key %s is not among the signers", ssh.FingerprintSHA256(key))
	}
	// A statement can be dated back, its place in the journal cannot.
	for _, at := range []time.Time{d.At, said.Time} {
		if !at.IsZero() && !signer.Valid(at) {
			return d, Signer{}, fmt.Errorf("the key of %s was not valid at %s", signer.Name, at.Format(time.RFC3339))
		}
	}
	d.heard = said.Time
	if d.By != signer.Name || d.Via != ViaSSH {
		return d, Signer{}, errors.New("the statement is in another's name than its key")
	}
	return d, signer, nil
}
