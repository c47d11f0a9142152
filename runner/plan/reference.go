package plan

import (
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/redact"
)

// referents are what references stand for: while a plan is checked mostly
// unknown, when a step's turn comes all there.
type referents interface {
	// resolve returns what ref stands for. It reports, and returns false, if
	// the reference is wrong.
	resolve(d *decoder, ref *reference, use use) (resolved, bool)

	// condition decodes an expression into a task.Condition.
	condition(d *decoder, n *yaml.Node, v reflect.Value) bool
}

// use is how a reference is used.
type use struct {
	at    *cursor
	whole bool         // the value is this reference and nothing else
	to    reflect.Type // of the key; nil if it is not known
}

// resolved is what a reference stands for.
type resolved struct {
	known  bool
	secret bool
	text   string        // of a variable, run.id or plan.digest
	of     *Variable     // the variable, while nothing runs
	field  reflect.Value // of a receipt
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// referring decodes a value that holds references, or their escape.
func (d *decoder) referring(n *yaml.Node, v reflect.Value, s *shape, c site) bool {
	parts, slips := segments(n.Value)
	if len(slips) == 0 && (len(parts) == 0 || len(parts) == 1 && parts[0].ref == nil) && d.refs != nil {
		plain := *n
		plain.Value = parts[0].text
		return d.scalar(&plain, v, s, c)
	}
	at := d.src.inside(n)
	if misplaced, hint := d.misplaced(s.class, c); misplaced != "" {
		offset := strings.Index(n.Value, opening)
		f := d.add(at.position(offset), "reference-place", "%s", misplaced)
		f.Hint, f.Width = hint, len(opening)
		return false
	}
	for _, wrong := range slips {
		f := d.add(at.position(wrong.offset), "reference", "%s", wrong.message)
		f.Hint, f.Width = wrong.hint, wrong.width
	}
	if len(slips) > 0 {
		return false
	}
	values, ok := d.resolveAll(parts, use{at: at, whole: len(parts) == 1, to: v.Type()})
	if !ok || !d.secrecy(n, parts, values, s.class, c) {
		return false
	}
	return d.fill(n, v, s, c, parts, values)
}

// misplaced says why a reference cannot stand here, or "" if it can.
func (d *decoder) misplaced(class class, c site) (problem, hint string) {
	switch {
	case d.refs == nil:
		return "a reference works only inside with, and in the url of a probe", "write $${{ for the characters themselves"
	case class == classPath:
		return c.name() + " must be written out: the files of a plan belong to its digest", ""
	case class == classCondition:
		return "an expression names receipts without ${{ }}", "write steps.ID.FIELD"
	case class == classStruct || class == classMap:
		return c.name() + " wants keys and values, not a reference", ""
	}
	return "", ""
}

func (d *decoder) resolveAll(parts []segment, how use) (values []resolved, ok bool) {
	ok = true
	values = make([]resolved, len(parts))
	for i, part := range parts {
		if part.ref == nil {
			values[i] = resolved{known: true, text: part.text}
			continue
		}
		value, fine := d.refs.resolve(d, part.ref, how)
		values[i] = value
		ok = ok && fine
	}
	return values, ok
}

// secrecy holds the two rules of secrets: they come from secret variables, and
// they go only where secrets belong.
func (d *decoder) secrecy(n *yaml.Node, parts []segment, values []resolved, class class, c site) bool {
	secret := false
	for i, value := range values {
		if !value.secret {
			continue
		}
		secret = true
		if class != classSecret {
			ref := parts[i].ref
			f := d.add(d.src.inside(n).position(ref.nameAt), "secret-field", "the secret %s cannot go into %s, which is written in the open", cut(ref.String()), c.name())
			f.hint("use a key that is made for secrets, or remove secret: true").Width = runes(ref.name)
			return false
		}
	}
	if class == classSecret && !secret {
		return d.inTheOpen(n, parts, values, c)
	}
	return true
}

// inTheOpen reports a value without a secret for a key that is made for one. A
// variable is reported once, however many steps are given it.
func (d *decoder) inTheOpen(n *yaml.Node, parts []segment, values []resolved, c site) bool {
	variable := values[0].of
	switch {
	case slices.ContainsFunc(values, func(r resolved) bool { return r.of != nil && r.of.doubtful }):
		d.partial = true
		return true
	case len(values) > 1 || variable == nil:
		return d.literalSecret(n, c)
	case variable.misfits(reflect.TypeFor[redact.Secret]()):
		ref := parts[0].ref
		f := d.add(d.src.inside(n).position(ref.nameAt), "literal-secret", "%s must come from a secret variable, and %s is none", c.name(), quote(ref.name))
		f.hint("add secret: true to %s under env", cut(ref.name)).relate(variable.Pos, "the variable is declared here").Width = runes(ref.name)
	}
	return false
}

// misfits notes that the variable does not fit a key of type t, and tells whether
// that is new.
func (v *Variable) misfits(t reflect.Type) bool {
	if slices.Contains(v.unfit, t) {
		return false
	}
	v.unfit = append(v.unfit, t)
	return true
}

// fill sets v once every part is known.
func (d *decoder) fill(n *yaml.Node, v reflect.Value, s *shape, c site, parts []segment, values []resolved) bool {
	if len(parts) == 1 && parts[0].ref.root != "steps" && s.class == classList {
		d.at(n, "type-mismatch", "%s is text, where a list is wanted", parts[0].ref)
		return false
	}
	for _, value := range values {
		if !value.known {
			d.partial = true
			return true
		}
	}
	if field := values[0].field; len(values) == 1 && field.IsValid() {
		if err := assign(v, field); err != nil {
			d.at(n, "type-mismatch", "%s %v", parts[0].ref, err)
			return false
		}
		return true
	}
	var text strings.Builder
	for _, value := range values {
		if value.field.IsValid() {
			text.WriteString(textOf(value.field))
		}
		text.WriteString(value.text)
	}
	if bad := setText(v, s, text.String()); bad != nil {
		d.unfit(n, v.Type(), bad, c, values)
		return false
	}
	return true
}

// unfit reports what is wrong with a value that variables are written into: once
// for each variable and type of key, as the mistake is in what the plan says of it.
func (d *decoder) unfit(n *yaml.Node, t reflect.Type, bad *badValue, c site, values []resolved) {
	var given *yaml.Node
	for _, value := range values {
		if value.of == nil {
			continue
		}
		if !value.of.misfits(t) {
			return
		}
		given = value.of.given()
	}
	f := d.at(n, bad.rule, "%s%s", c.name(), bad.message)
	if f.Hint = bad.hint; given != nil {
		f.relate(positionOf(given), "the variable's value is here")
	}
}

// given returns where the plan says what the variable's value is, or nil.
func (v *Variable) given() *yaml.Node {
	for _, key := range []string{"equals", "default"} {
		if _, n := v.find(key); n != nil {
			return n
		}
	}
	return nil
}
