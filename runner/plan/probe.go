package plan

import (
	"net/url"
	"reflect"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// unfit tells whether it is reported already that a variable in the text does not
// fit keys of type t, and notes it of all of them.
func (s *static) unfit(text string, t reflect.Type) bool {
	parts, _ := segments(text)
	reported := false
	for _, part := range parts {
		if part.ref == nil {
			continue
		}
		if variable := s.scope.env[part.ref.name]; part.ref.root == "env" && variable != nil {
			reported = !variable.misfits(t) || reported
		}
	}
	return reported
}

// target returns the probe's URL with its references resolved, or "" if it is
// not known yet or is wrong.
func (d *decoder) target(p Probe) string {
	key, n := p.find("url")
	if n == nil {
		return ""
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.partial = false
	var text string
	c := site{what: "a probe", key: key}
	if !d.value(n, reflect.ValueOf(&text).Elem(), c) || d.partial {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		if refs, checking := d.refs.(*static); checking && refs.unfit(n.Value, reflect.TypeFor[task.URL]()) {
			return ""
		}
		d.at(n, "probe", "%s: %s is not a URL that can be requested", c.name(), quote(text)).
			hint("write one such as https://api.example.com/health")
		return ""
	}
	return text
}
