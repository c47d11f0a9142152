package plan

import (
	"encoding"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// scalar decodes a single value that holds no reference.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, s *shape, c site) bool {
	switch s.class {
	case classTask:
		return d.task(n, v)
	case classTemplate:
		v.SetString(n.Value)
		d.asText(n, c)
		return true
	case classPath:
		v.SetString(d.path(n.Value))
		d.asText(n, c)
		return true
	case classSecret:
		if d.refs != nil {
			return d.literalSecret(n, c)
		}
	case classCondition:
		return d.refs.condition(d, n, v)
	case classBool, classInt, classFloat:
		if n.Style != 0 {
			return d.bad(n, &badValue{"wrong-type", fmt.Sprintf(" wants %s, not text", s.class), "remove the quotes"}, c)
		}
	}
	if bad := setText(v, s, n.Value); bad != nil {
		if s.words != nil {
			bad.hint = d.didYouMean(n.Value, s.words)
		}
		if c.what == "a plan" && c.key != nil && c.key.Value == "version" {
			bad.hint = fmt.Sprintf("write version: %d", Version)
		}
		if _, hint, _ := lookalike(n); hint != "" {
			bad.hint = hint
		}
		return d.bad(n, bad, c)
	}
	d.asText(n, c)
	return true
}

// A badValue says why a text cannot be a value of a type.
type badValue struct{ rule, message, hint string }

func (d *decoder) bad(n *yaml.Node, b *badValue, c site) bool {
	f := d.at(n, b.rule, "%s%s", c.name(), b.message)
	f.Hint = b.hint
	return false
}

// setText reads text into v, whose class is that of a single value. The message
// of what it returns follows directly upon the name of the key.
func setText(v reflect.Value, s *shape, text string) *badValue {
	switch s.class {
	case classText:
		if s.words != nil && !slices.Contains(s.words, text) {
			return &badValue{rule: "wrong-value", message: " cannot be " + quote(text)}
		}
		v.SetString(text)
	case classBool:
		if text != "true" && text != "false" {
			return &badValue{"wrong-type", " wants true or false, not " + quote(text), "only the words true and false are booleans"}
		}
		v.SetBool(text == "true")
	case classInt:
		return setInt(v, s, text)
	case classFloat:
		return setFloat(v, s, text)
	case classDuration:
		return setDuration(v, text)
	case classSecret:
		v.Set(reflect.ValueOf(redact.NewSecret(text)))
	case classEncoded:
		err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		if err != nil && len(text) > longestLine { // the message quotes it
			return &badValue{rule: "wrong-value", message: ": " + quote(text) + " is too long"}
		}
		if err != nil {
			return &badValue{"wrong-value", ": " + err.Error(), task.HintOf(err)}
		}
	default:
		return &badValue{rule: "wrong-type", message: fmt.Sprintf(" wants %s, not a single value", s.class)}
	}
	return nil
}

func setInt(v reflect.Value, s *shape, text string) *badValue {
	digits := strings.TrimLeft(text, "+-")
	if len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789") == "" {
		return &badValue{"wrong-value", " has a leading zero, which some read as octal", "write the decimal number without it"}
	}
	n, err := strconv.ParseInt(text, 10, s.bits)
	if err == nil {
		v.SetInt(n)
		return nil
	}
	if digits != "" && strings.Trim(digits, "0123456789") == "" {
		return &badValue{rule: "wrong-value", message: ": " + quote(text) + " is out of range"}
	}
	return &badValue{"wrong-type", " wants a whole number, not " + quote(text), "write decimal digits, such as 20"}
}

func setFloat(v reflect.Value, s *shape, text string) *badValue {
	n, err := strconv.ParseFloat(text, s.bits)
	if strings.Trim(text, "0123456789+-.eE") != "" || err != nil && !math.IsInf(n, 0) {
		return &badValue{"wrong-type", " wants a number, not " + quote(text), "write a decimal number, such as 0.5"}
	}
	if math.IsInf(n, 0) {
		return &badValue{rule: "wrong-value", message: ": " + quote(text) + " is out of range"}
	}
	v.SetFloat(n)
	return nil
}

func setDuration(v reflect.Value, text string) *badValue {
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		return &badValue{"wrong-type", " wants a duration, not " + quote(text), "write a duration such as 30s, 5m or 1h30m"}
	}
	v.SetInt(int64(duration))
	return nil
}

// path resolves a path of the plan against the directory of its file.
func (d *decoder) path(text string) string {
	if filepath.IsAbs(text) {
		path := filepath.Clean(text)
		d.absolute[path] = true
		return path
	}
	return filepath.Join(d.dir, text)
}

func (d *decoder) task(n *yaml.Node, v reflect.Value) bool {
	spec, ok := d.tasks[n.Value]
	if !ok {
		f := d.at(n, "unknown-task", "there is no task %s", quote(n.Value))
		if f.Hint = d.didYouMean(n.Value, d.names); f.Hint == "" {
			f.hint("phasegate tasks lists them")
		}
		if _, hint, _ := lookalike(n); hint != "" {
			f.hint("%s", hint)
		}
		return false
	}
	v.Set(reflect.ValueOf(spec))
	return true
}

func (d *decoder) literalSecret(n *yaml.Node, c site) bool {
	d.at(n, "literal-secret", "%s must come from a secret variable, not from the plan", c.name()).
		hint("declare a variable with secret: true under env, and write ${{ env.NAME }}").masked = n
	return false
}
