package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/sethvargo/go-envconfig"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Environ is the values of a plan's variables. It prints and logs as their
// names.
type Environ struct {
	names  []string
	values map[string]string
	secret map[string]bool
}

// Environ looks every declared variable up in l, with the defaults applied where
// a variable is not set or is empty. The error names at once, one a line, all
// that are missing, that are empty without being allowed to, and that do not
// have the value that the plan wants; it never holds a value.
func (p *Plan) Environ(ctx context.Context, l envconfig.Lookuper) (Environ, error) {
	if err := ctx.Err(); err != nil {
		return Environ{}, context.Cause(ctx)
	}
	e := Environ{values: map[string]string{}, secret: map[string]bool{}}
	var wrong *multierror.Error
	var hints []string
	for _, v := range p.Env {
		value, set := l.Lookup(v.Name)
		if value == "" && v.Default != nil {
			value, set = *v.Default, true
		}
		e.names = append(e.names, v.Name)
		e.values[v.Name], e.secret[v.Name] = value, v.Secret
		if problem, hint := v.problem(value, set); problem != "" {
			wrong = multierror.Append(wrong, fmt.Errorf("%s", problem))
			hints = append(hints, hint)
		}
	}
	if wrong == nil {
		return e, nil
	}
	wrong.ErrorFormat = lines
	return Environ{}, task.Hint(wrong, "set them before the run: "+strings.Join(hints, "; "))
}

// Wants tells whether the plan declares a variable of that name.
func (p *Plan) Wants(name string) bool {
	return slices.ContainsFunc(p.Env, func(v Variable) bool { return v.Name == name })
}

// Known returns the values of the variables as far as l has them, with the
// defaults applied. One that is missing stands for its own reference: the plan
// can be shown where the run's environment is not.
func (p *Plan) Known(l envconfig.Lookuper) Environ {
	e := Environ{values: map[string]string{}, secret: map[string]bool{}}
	for _, v := range p.Env {
		value, _ := l.Lookup(v.Name)
		switch {
		case value != "":
		case v.Default != nil:
			value = *v.Default
		default:
			value = "${{ env." + v.Name + " }}"
		}
		e.names = append(e.names, v.Name)
		e.values[v.Name], e.secret[v.Name] = value, v.Secret
	}
	return e
}

// problem says why value cannot be the variable's, and what would mend it, or
// "" if it can.
func (v Variable) problem(value string, set bool) (problem, hint string) {
	about := ""
	if v.Summary != "" {
		about = " (" + v.Summary + ")"
	}
	switch {
	case v.Equals != nil && value != *v.Equals:
		return fmt.Sprintf("%s is not %q%s", v.Name, *v.Equals, about), fmt.Sprintf("export %s='%s'", v.Name, *v.Equals)
	case !set:
		return v.Name + " is not set" + about, "export " + v.Name + "=..."
	case value == "" && v.Default == nil && v.Equals == nil:
		return v.Name + " is empty" + about, "export " + v.Name + "=..."
	}
	return "", ""
}

// Lookup returns the value of a declared variable.
func (e Environ) Lookup(name string) (string, bool) {
	value, ok := e.values[name]
	return value, ok
}

func (e Environ) isSecret(name string) bool { return e.secret[name] }

// Secrets returns the values of the variables that are declared secret, for a
// [redact.Masker].
func (e Environ) Secrets() []redact.Secret {
	var secrets []redact.Secret
	for _, name := range e.names {
		if e.secret[name] && e.values[name] != "" {
			secrets = append(secrets, redact.NewSecret(e.values[name]))
		}
	}
	return secrets
}

// Fingerprints returns 32 bits of a salted SHA-256 of each value, by name:
// enough to tell that a value changed, too little to confirm a guess of it. Of a
// secret only a connection string without its passwords is taken, so that a password can be
// changed while a run waits; other secrets have none.
func (e Environ) Fingerprints(salt string) map[string]string {
	prints := make(map[string]string, len(e.names))
	for _, name := range e.names {
		value := e.values[name]
		if e.secret[name] {
			leads, ok := whereabouts(value)
			if !ok {
				continue
			}
			value = leads
		}
		sum := sha256.Sum256([]byte(salt + "\x00" + name + "\x00" + value))
		prints[name] = hex.EncodeToString(sum[:4])
	}
	return prints
}

// String returns the names of the variables.
func (e Environ) String() string { return "[" + strings.Join(e.names, " ") + "]" }

// Format prints the names of the variables under every verb.
func (e Environ) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// LogValue logs the names of the variables.
func (e Environ) LogValue() slog.Value { return slog.StringValue(e.String()) }
