package plan

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan/condition"
)

// kindOf returns what a value of type t is in a receipt's JSON.
func kindOf(t reflect.Type) condition.Kind {
	if t == reflect.TypeFor[time.Time]() || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return condition.Text
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return condition.Other
	}
	switch t.Kind() {
	case reflect.Bool:
		return condition.Bool
	case reflect.String:
		return condition.Text
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return condition.Number
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return condition.Text // base64
		}
		return condition.ListOf(kindOf(t.Elem()))
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	return condition.Other
}

// misfit says why a whole field of a receipt, of type from, cannot be the value
// of a key of type to, or "" if it can.
func misfit(to, from reflect.Type) string {
	if to == from {
		return ""
	}
	kind, target := kindOf(from), shapeOf(to)
	name := kind.String()
	if from == reflect.TypeFor[time.Duration]() {
		name = "a duration"
	}
	fits := false
	switch target.class {
	case classText:
		fits = kind.Scalar()
	case classEncoded:
		fits = kind == condition.Text || kind == condition.Number && isNumber(to)
	case classInt, classFloat:
		fits = kind == condition.Number && from != reflect.TypeFor[time.Duration]()
	case classBool:
		fits = kind == condition.Bool
	case classPointer:
		return misfit(to.Elem(), from)
	case classList:
		if from.Kind() == reflect.Slice {
			return misfit(to.Elem(), from.Elem())
		}
	}
	if fits {
		return ""
	}
	return fmt.Sprintf("is %s, where %s is wanted", name, target.class)
}

func isNumber(t reflect.Type) bool { return kindOf(t) == condition.Number }

// assign puts a receipt's value where misfit found no objection.
func assign(to, from reflect.Value) error {
	for from.Kind() == reflect.Pointer {
		if from.IsNil() {
			return fmt.Errorf("has no value")
		}
		from = from.Elem()
	}
	if to.Type() == from.Type() {
		to.Set(from)
		return nil
	}
	shape := shapeOf(to.Type())
	switch shape.class {
	case classPointer:
		to.Set(reflect.New(to.Type().Elem()))
		return assign(to.Elem(), from)
	case classList:
		list := reflect.MakeSlice(to.Type(), from.Len(), from.Len())
		for i := range from.Len() {
			if err := assign(list.Index(i), from.Index(i)); err != nil {
				return err
			}
		}
		to.Set(list)
		return nil
	case classInt, classFloat, classEncoded:
		if isNumber(to.Type()) && isNumber(from.Type()) {
			return assignNumber(to, from)
		}
	}
	if bad := setText(to, shape, textOf(from)); bad != nil {
		return fmt.Errorf("%s", bad.message)
	}
	return nil
}

func assignNumber(to, from reflect.Value) error {
	if to.CanFloat() {
		to.SetFloat(number(from))
		return nil
	}
	n := number(from)
	if from.CanInt() {
		if to.OverflowInt(from.Int()) {
			return fmt.Errorf("%d is out of range", from.Int())
		}
		to.SetInt(from.Int())
		return nil
	}
	if n != math.Trunc(n) || math.Abs(n) >= 1<<63 || to.OverflowInt(int64(n)) {
		return fmt.Errorf("%v is not a whole number in range", n)
	}
	to.SetInt(int64(n))
	return nil
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}

// textOf writes a receipt's value as a text holds it.
func textOf(v reflect.Value) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case redact.Secret:
		return redact.Mask
	case encoding.TextMarshaler:
		text, _ := value.MarshalText()
		return string(text)
	case time.Duration:
		return value.String()
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	return ""
}
