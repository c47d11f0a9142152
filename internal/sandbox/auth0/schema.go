package auth0

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A schema describes a JSON value as the Management API checks it. Bodies are
// closed objects: a property that is not named is refused.
type schema struct {
	kind     string // object, array, string, boolean, integer; "" for anything
	null     bool   // null is allowed too
	format   string // email
	pattern  func() *regexp.Regexp
	shortest int // characters of a string, items of an array
	longest  int // 0 for no bound
	enum     []string
	items    *schema
	open     bool // properties that are not named are allowed
	required []string
	about    string // the property's description, as messages quote it
	props    map[string]schema
}

// A problem is what is wrong with a value. Codes and wording are those of the
// validator that Auth0 uses (https://github.com/zaggino/z-schema,
// src/Errors.js).
type problem struct{ code, text, path, about string }

// String is the problem as the Management API quotes it.
func (p *problem) String() string {
	message := "'" + p.text + "'"
	if p.path != "" {
		message += " on property " + p.path
		if p.about != "" {
			message += " (" + p.about + ")"
		}
	}
	return message + "."
}

// check returns what is wrong with value, nil if nothing is.
func (s *schema) check(value any) *problem { return s.at(value, "") }

func (s *schema) at(value any, path string) *problem {
	if value == nil && s.null || s.kind == "" {
		return nil
	}
	if found := kindOf(value); found != s.kind {
		return s.problem("INVALID_TYPE", path, "Expected type %s but found type %s", s.kind, found)
	}
	switch v := value.(type) {
	case string:
		return s.atString(v, path)
	case []any:
		return s.atArray(v, path)
	case map[string]any:
		return s.atObject(v, path)
	}
	return nil
}

func (s *schema) atString(v, path string) *problem {
	n := utf8.RuneCountInString(v)
	switch {
	case s.shortest > 0 && n < s.shortest:
		return s.problem("MIN_LENGTH", path, "String is too short (%d chars), minimum %d", n, s.shortest)
	case s.longest > 0 && n > s.longest:
		return s.problem("MAX_LENGTH", path, "String is too long (%d chars), maximum %d", n, s.longest)
	case s.pattern != nil && !s.pattern().MatchString(v):
		return s.problem("PATTERN", path, "String does not match pattern %s", s.pattern())
	case s.format == "email" && !isEmail(v):
		return s.problem("FORMAT", path, "Object didn't pass validation for format email: %s", v)
	case s.enum != nil && !slices.Contains(s.enum, v):
		return s.problem("ENUM_MISMATCH", path, "No enum match for: %s", v)
	}
	return nil
}

func (s *schema) atArray(v []any, path string) *problem {
	switch {
	case len(v) < s.shortest:
		return s.problem("ARRAY_LENGTH_SHORT", path, "Array is too short (%d), minimum %d", len(v), s.shortest)
	case s.longest > 0 && len(v) > s.longest:
		return s.problem("ARRAY_LENGTH_LONG", path, "Array is too long (%d), maximum %d", len(v), s.longest)
	case s.items == nil:
		return nil
	}
	for i, item := range v {
		if problem := s.items.at(item, join(path, strconv.Itoa(i))); problem != nil {
			return problem
		}
	}
	return nil
}

func (s *schema) atObject(v map[string]any, path string) *problem {
	for _, key := range s.required {
		if _, ok := v[key]; !ok {
			return s.problem("OBJECT_REQUIRED", path, "Missing required property: %s", key)
		}
	}
	if s.props == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		property, ok := s.props[key]
		if !ok && !s.open {
			return s.problem("OBJECT_ADDITIONAL_PROPERTIES", path, "Additional properties not allowed: %s", key)
		}
		if !ok {
			continue
		}
		if problem := property.at(v[key], join(path, key)); problem != nil {
			return problem
		}
	}
	return nil
}

func (s *schema) problem(code, path, format string, args ...any) *problem {
	return &problem{code: code, text: fmt.Sprintf(format, args...), path: path, about: s.about}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return fmt.Sprintf("%T", value)
}

// object returns the schema of a closed object with some required properties.
func object(required []string, props map[string]schema) *schema {
	return &schema{kind: "object", required: required, props: props}
}

// anyOf returns properties of any kind with these names, for objects of which
// the tenant checks only that they are closed.
func anyOf(names string) map[string]schema {
	props := map[string]schema{}
	for name := range strings.FieldsSeq(names) {
		props[name] = schema{}
	}
	return props
}

// with returns props with more of them.
func with(props, more map[string]schema) map[string]schema {
	out := maps.Clone(props)
	maps.Copy(out, more)
	return out
}

var (
	emailLocal  = pattern.Lazy(`^[\p{L}\p{N}!#$%&'*+/=?^_{|}~` + "`" + `-]+(\.[\p{L}\p{N}!#$%&'*+/=?^_{|}~` + "`" + `-]+)*$`)
	emailDomain = pattern.Lazy(`^([\p{L}\p{N}_]([\p{L}\p{N}_-]*[\p{L}\p{N}_])?\.)+(\p{L}{2,}|[Xx][Nn][a-zA-Z0-9-]{2,})$`)
)

// isEmail tells whether s has the form of an address, by the rules of the
// library that the format "email" of Auth0's validator stands on
// (https://github.com/validatorjs/validator.js, isEmail with its defaults):
// letters beyond ASCII are fine, a top-level domain is required.
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	return len(local) <= 64 && len(domain) <= 254 && emailLocal().MatchString(local) && emailDomain().MatchString(domain)
}
