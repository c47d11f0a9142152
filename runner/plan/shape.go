package plan

import (
	"encoding"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// class is how values of a type are written in a plan.
type class int

const (
	classText      class = iota // a string
	classBool                   //
	classInt                    //
	classFloat                  //
	classDuration               //
	classEncoded                // a type with UnmarshalText
	classSecret                 //
	classPath                   //
	classCondition              //
	classList                   //
	classMap                    //
	classStruct                 //
	classPointer                //
	classTask                   // the name of a task
	classConfig                 // keys and values, kept for later
	classTemplate               // a string, kept for later
	classVariables              // a mapping that keeps its order
)

// shape is what the decoder knows of a type. For a struct it holds its keys, so
// that they are written down nowhere else.
type shape struct {
	class  class
	bits   int      // of a number
	words  []string // the texts that are allowed, if not all are
	keys   []string
	fields []task.Field
	index  map[string]int
	preset []reflect.Value // the default of each field, if it has one
	bounds []bounds
}

// bounds are the least and the most that a number or a duration may be.
type bounds struct {
	least, most         float64
	leastText, mostText string // as tagged; empty without a bound
}

// excluded says why the value v is out of bounds, or "".
func (b bounds) excluded(v reflect.Value) string {
	below := b.leastText != "" && number(v) < b.least
	above := b.mostText != "" && number(v) > b.most
	switch {
	case !below && !above:
		return ""
	case b.leastText != "" && b.mostText != "":
		return " must be from " + b.leastText + " to " + b.mostText
	case below:
		return " must be at least " + b.leastText
	}
	return " must be at most " + b.mostText
}

// shapes holds the shape of each type met so far: a type does not change, and
// each step of a run asks again.
var shapes sync.Map

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	s := &shape{class: classOf(t)}
	switch s.class {
	case classInt, classFloat:
		s.bits = t.Bits()
	case classText:
		if enum, ok := reflect.TypeAssert[interface{ Words() []string }](reflect.Zero(t)); ok {
			s.words = enum.Words()
		}
	case classStruct:
		s.fields = task.Fields(t)
		s.index = make(map[string]int, len(s.fields))
		for i, f := range s.fields {
			s.keys = append(s.keys, f.Key)
			s.index[f.Key] = i
		}
		s.tags(t)
	}
	shapes.Store(t, s)
	return s
}

// tags reads the defaults and the bounds of a struct's fields.
func (s *shape) tags(t reflect.Type) {
	s.preset, s.bounds = make([]reflect.Value, len(s.fields)), make([]bounds, len(s.fields))
	for i, f := range s.fields {
		read := func(tag string) (reflect.Value, string) {
			text, ok := t.FieldByIndex(f.Index).Tag.Lookup(tag)
			if !ok {
				return reflect.Value{}, ""
			}
			v := reflect.New(f.Type).Elem()
			if bad := setText(v, shapeOf(f.Type), text); bad != nil {
				panic(fmt.Sprintf("%s.%s: the %s tag%s", t, f.Name, tag, bad.message))
			}
			return v, text
		}
		s.preset[i], _ = read("default")
		if v, text := read("min"); text != "" {
			s.bounds[i].least, s.bounds[i].leastText = number(v), text
		}
		if v, text := read("max"); text != "" {
			s.bounds[i].most, s.bounds[i].mostText = number(v), text
		}
	}
}

// classOf panics on a type that cannot be written in a plan: that is a mistake
// in a task, not in a plan.
func classOf(t reflect.Type) class {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return classDuration
	case reflect.TypeFor[redact.Secret]():
		return classSecret
	case reflect.TypeFor[task.Path]():
		return classPath
	case reflect.TypeFor[task.Condition]():
		return classCondition
	case reflect.TypeFor[task.Spec]():
		return classTask
	case reflect.TypeFor[Config]():
		return classConfig
	case reflect.TypeFor[Template]():
		return classTemplate
	case reflect.TypeFor[Variables]():
		return classVariables
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return classEncoded
	}
	switch t.Kind() {
	case reflect.String:
		return classText
	case reflect.Bool:
		return classBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return classInt
	case reflect.Float32, reflect.Float64:
		return classFloat
	case reflect.Slice:
		return classList
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return classMap
		}
	case reflect.Struct:
		return classStruct
	case reflect.Pointer:
		return classPointer
	}
	panic(fmt.Sprintf("%s: a type that cannot be written in a plan", t))
}

// String names the class as a message does.
func (c class) String() string {
	return map[class]string{
		classText: "text", classTemplate: "text", classBool: "true or false", classInt: "a whole number", classFloat: "a number",
		classDuration: "a duration", classEncoded: "text", classSecret: "a secret variable", classPath: "a path",
		classCondition: "an expression", classList: "a list", classMap: "keys and values", classStruct: "keys and values",
		classTask: "the name of a task", classConfig: "keys and values", classVariables: "names of variables as keys",
	}[c]
}
