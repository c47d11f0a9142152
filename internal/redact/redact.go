// Package redact keeps secrets out of everything that is written: a Secret does
// not print itself, and a Masker takes known values out of other people's text.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// Mask is what stands where a secret was.
const Mask = "[redacted]"

// A Secret is a value that is masked however it is printed, logged or encoded.
type Secret struct{ value string }

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value, for the one call that needs it.
func (s Secret) Reveal() string { return s.value }

// IsZero tells whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// UnmarshalText takes the value from a plan.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

func (s Secret) String() string               { return Mask }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(Mask) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// Format masks the value under every verb, %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// shortest is the length below which a value is not masked in other text:
// masking "x" or "prod" would only shred the log.
const shortest = 6

// A Masker replaces known values, in the encodings in which they travel.
type Masker struct{ replacer *strings.Replacer }

// NewMasker returns a Masker of secrets. A secret of several lines is masked
// line by line, the password of a URL also by itself. Values under six
// characters are left alone.
func NewMasker(secrets ...Secret) *Masker {
	var values []string
	add := func(value string) {
		if len(value) >= shortest {
			values = append(values, encodings(value)...)
		}
	}
	for _, s := range secrets {
		add(s.value)
		for line := range strings.Lines(s.value) {
			add(strings.TrimSpace(line))
		}
		if u, err := url.Parse(s.value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			add(password)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, value := range slices.Compact(values) {
		pairs = append(pairs, value, Mask)
	}
	return &Masker{strings.NewReplacer(pairs...)}
}

func encodings(value string) []string {
	quoted, _ := json.Marshal(value)
	return []string{
		value,
		strings.Trim(string(quoted), `"`),
		url.QueryEscape(value),
		url.PathEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value)),
	}
}

// String returns text without the values. A nil Masker returns it as it is.
func (m *Masker) String(text string) string {
	if m == nil {
		return text
	}
	return m.replacer.Replace(text)
}
