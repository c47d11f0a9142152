package plan

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// checkSecrets looks for what can only be a secret among the values that a plan
// writes out: configurations, names of files among them, the URLs of probes, and
// the values of variables.
func checkSecrets(c *checker) {
	for _, e := range c.scope.all {
		c.written(e.step.With.node)
	}
	for i := range c.plan.Probes {
		c.written(c.plan.Probes[i].at("url"))
	}
	for i := range c.plan.Env {
		if v := &c.plan.Env[i]; !v.Secret {
			for _, key := range []string{"default", "equals"} {
				if _, n := v.find(key); n != nil {
					c.written(n)
				}
			}
		}
	}
}

// written looks at every single value below n.
func (c *checker) written(n *yaml.Node) {
	if n == nil || n.Kind == yaml.AliasNode {
		return // what the alias stands for is looked at where it is written
	}
	if n.Kind == yaml.ScalarNode {
		c.secret(n)
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.ScalarNode && keepsSecret(n.Content[i-1].Value) &&
			child.Value != "" && !isNull(child) && !strings.Contains(child.Value, opening) {
			c.reveals(child, "the value of "+cut(n.Content[i-1].Value))
		}
		c.written(child)
	}
}

// keepsSecret tells whether name is that of an environment variable in which
// programs take secrets, such as PGPASSWORD.
func keepsSecret(name string) bool {
	ends := func(end string) bool { return strings.HasSuffix(name, end) }
	return slices.ContainsFunc([]string{"PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY"}, ends) && name == strings.ToUpper(name)
}

func (c *checker) secret(n *yaml.Node) {
	if what := secretIn(n.Value); what != "" {
		c.reveals(n, what)
	}
}

// reveals reports the secret at n, unless it is told of already.
func (c *checker) reveals(n *yaml.Node, what string) {
	if slices.ContainsFunc(c.report.list, func(f *finding) bool { return f.masked == n }) {
		return
	}
	c.report.list = slices.DeleteFunc(c.report.list, func(f *finding) bool { return f.node == n }) // this is worse than what a task says of it
	c.at(n, "literal-secret", "%s is written in the plan", what).
		hint("declare a variable with secret: true under env, and give it to a key that is made for secrets").masked = n
}

// A secret has a form that nothing else has. Each begins with what is found
// quickly.
var secretForms = []struct {
	begins, what string
	form         func() *regexp.Regexp
}{
	{"PRIVATE KEY-----", "a private key", pattern.Lazy(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"ghp_", "a token of GitHub", pattern.Lazy(`\bghp_[A-Za-z0-9]{30,}`)},
	{"ghs_", "a token of GitHub", pattern.Lazy(`\bghs_[A-Za-z0-9]{30,}`)},
	{"github_pat_", "a token of GitHub", pattern.Lazy(`\bgithub_pat_\w{30,}`)},
	{"AKIA", "a key of AWS", pattern.Lazy(`\bAKIA[A-Z0-9]{16}\b`)},
	{"xox", "a token of Slack", pattern.Lazy(`\bxox[abprs]-[A-Za-z0-9-]{10,}`)},
	{"sk_live_", "a key of Stripe", pattern.Lazy(`\bsk_live_\w{16,}`)},
	{"eyJ", "a signed token", pattern.Lazy(`\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}`)},
	{"earer ", "a bearer token", pattern.Lazy(`\b[Bb]earer [\w.~+/-]{20,}`)},
	{"://", "a token", pattern.Lazy(`(?i)[?&](\w*token|api_?key|\w*secret|password)=[^\s&#$'"]{8,}`)},
	{"assword=", "a password", pattern.Lazy(`\b[Pp]assword=[^\s$'"]`)},
}

// secretIn names the secret that a text holds, or is "".
func secretIn(text string) string {
	if len(text) < len("a://b:c@") {
		return ""
	}
	if password(text) {
		return "a password"
	}
	for _, s := range secretForms {
		if strings.Contains(text, s.begins) && s.form().MatchString(text) {
			return s.what
		}
	}
	return ""
}

// password tells whether a URL in the text has one written out.
func password(text string) bool {
	for at := strings.Index(text, "://"); at >= 0; {
		rest := text[at+len("://"):]
		authority := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune(" \t\n/?#'\"", r) }))]
		user, _, ok := cutLast(authority, "@")
		if _, secret, has := strings.Cut(user, ":"); ok && has && secret != "" && !strings.Contains(secret, opening) {
			if _, err := url.PathUnescape(secret); err == nil {
				return true
			}
		}
		next := strings.Index(rest, "://")
		if next < 0 {
			return false
		}
		at += len("://") + next
	}
	return false
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
