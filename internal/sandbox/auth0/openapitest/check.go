package openapitest

import (
	"fmt"
	"go/ast"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request returns what in a request's body the document does not allow, each with
// the path of the property. ok is false where it knows no JSON body of the
// endpoint. The body is as encoding/json decodes it.
func (d *Document) Request(endpoint string, body any) (findings []string, ok bool) {
	o, known := d.operation(endpoint)
	return d.check(o.request, known, body)
}

// Response does for the body of an answer of status 2xx what Request does for a
// request's.
func (d *Document) Response(endpoint string, body any) (findings []string, ok bool) {
	o, known := d.operation(endpoint)
	if _, bare := body.([]any); bare && o.item != nil {
		return d.check(&ast.ArrayType{Elt: o.item}, known, body)
	}
	return d.check(o.response, known, body)
}

// Body returns the properties of the object that an endpoint takes, and whether
// each is wanted; nil where it takes none.
func (d *Document) Body(endpoint string) map[string]bool {
	o, ok := d.operation(endpoint)
	if !ok || o.request == nil {
		return nil
	}
	fields := d.object(o.request, "")
	if fields == nil {
		return nil
	}
	wanted := map[string]bool{}
	for name, f := range shapeOf(fields).properties {
		wanted[name] = f.wanted
	}
	return wanted
}

func (d *Document) check(of ast.Expr, known bool, body any) ([]string, bool) {
	if !known || of == nil {
		return nil, false
	}
	c := check{document: d}
	c.value(of, "", body, "")
	slices.Sort(c.findings)
	return slices.Compact(c.findings), true
}

// A check collects what is wrong with one value.
type check struct {
	document *Document
	findings []string
}

func (c *check) finds(path, what string) {
	if path == "" {
		path = "."
	}
	c.findings = append(c.findings, path+" "+what)
}

// value holds a value to a type whose names are of a package.
func (c *check) value(of ast.Expr, in string, value any, path string) {
	switch of := of.(type) {
	case *inPackage:
		c.value(of.Expr, of.in, value, path)
	case *ast.StarExpr:
		if value != nil {
			c.value(of.X, in, value, path)
		}
	case *ast.ArrayType:
		c.array(of, in, value, path)
	case *ast.MapType:
		c.values(of, in, value, path)
	case *ast.StructType:
		c.structure(of, in, value, path)
	case *ast.SelectorExpr:
		c.imported(of, value, path)
	case *ast.Ident:
		c.named(of.Name, in, value, path)
	}
}

func (c *check) array(of *ast.ArrayType, in string, value any, path string) {
	items, ok := value.([]any)
	if !ok && value != nil {
		c.finds(path, "is no array")
	}
	for _, item := range items {
		c.value(of.Elt, in, item, path+"[]")
	}
}

func (c *check) values(of *ast.MapType, in string, value any, path string) {
	object, ok := value.(map[string]any)
	if !ok && value != nil {
		c.finds(path, "is no object")
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		c.value(of.Value, in, object[key], path+".*")
	}
}

// imported holds a value to a type of another package.
func (c *check) imported(of *ast.SelectorExpr, value any, path string) {
	pkg, ok := of.X.(*ast.Ident)
	switch {
	case !ok: // no type of another package
	case pkg.Name == "time" && of.Sel.Name == "Time":
		text, _ := value.(string)
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			c.finds(path, "is no date and time")
		}
	case c.document.types[pkg.Name+"."+of.Sel.Name] != nil:
		c.named(of.Sel.Name, pkg.Name+".", value, path)
	}
}

// named holds a value to a type by its name.
func (c *check) named(name, in string, value any, path string) {
	if of := c.document.types[in+name]; of != nil {
		if values := c.document.values[in+name]; values != nil {
			if text, ok := value.(string); !ok || !values[text] {
				c.finds(path, "is none of the values")
			}
			return
		}
		c.value(of, in, value, path)
		return
	}
	kind, known := kinds[name]
	if known && !kind.is(value) {
		c.finds(path, "is no "+kind.name)
	}
}

// kinds are Go's types as JSON's.
var kinds = map[string]struct {
	name string
	is   func(any) bool
}{
	"string":  {"string", isA[string]},
	"bool":    {"boolean", isA[bool]},
	"float64": {"number", isA[float64]},
	"int":     {"integer", isInteger},
	"int64":   {"integer", isInteger},
}

func isA[T any](value any) bool {
	_, ok := value.(T)
	return ok
}

func isInteger(value any) bool {
	number, ok := value.(float64)
	return ok && number == math.Trunc(number)
}

// structure holds a value to an object, or to one of several types.
func (c *check) structure(of *ast.StructType, in string, value any, path string) {
	s := shapeOf(of)
	if s.oneOf != nil {
		c.oneOf(s.oneOf, in, value, path)
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		c.finds(path, "is no object")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch p, known := s.properties[key]; {
		case known:
			c.value(p.of, in, object[key], path+"."+key)
		case !s.open:
			c.finds(path+"."+key, "is not in the document")
		}
	}
	for name, p := range s.properties {
		if _, there := object[name]; p.wanted && !there {
			c.finds(path+"."+name, "is missing")
		}
	}
}

// oneOf looks for a type that fits.
func (c *check) oneOf(types []ast.Expr, in string, value any, path string) {
	var closest []string
	for n, of := range types {
		try := check{document: c.document}
		try.value(of, in, value, path)
		if n == 0 || len(try.findings) < len(closest) {
			closest = try.findings
		}
	}
	c.findings = append(c.findings, closest...)
}

// A shape is what a struct of the sources says of an object.
type shape struct {
	properties map[string]property
	open       bool       // others are allowed
	oneOf      []ast.Expr // where it stands for several types
}

type property struct {
	of     ast.Expr
	wanted bool
}

func shapeOf(of *ast.StructType) shape {
	s := shape{properties: map[string]property{}}
	for _, field := range of.Fields.List {
		if len(field.Names) != 1 {
			continue
		}
		name, options := tagOf(field)
		switch exported := field.Names[0].IsExported(); {
		case field.Names[0].Name == "ExtraProperties":
			s.open = true
		case name == "" && exported:
			s.oneOf = append(s.oneOf, field.Type)
		case name != "" && name != "-":
			s.properties[name] = property{field.Type, !strings.Contains(options, "omitempty")}
		}
	}
	return s
}

// tagOf returns the name of a field in JSON, and the options beside it.
func tagOf(field *ast.Field) (name, options string) {
	if field.Tag == nil {
		return "", ""
	}
	tag, err := strconv.Unquote(field.Tag.Value)
	if err != nil {
		return "", ""
	}
	name, options, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	return name, options
}

// object follows a type to the struct that it is, nil if it is none.
func (d *Document) object(of ast.Expr, in string) *ast.StructType {
	switch of := of.(type) {
	case *inPackage:
		return d.object(of.Expr, of.in)
	case *ast.StarExpr:
		return d.object(of.X, in)
	case *ast.StructType:
		return of
	case *ast.Ident:
		return d.object(d.types[in+of.Name], in)
	case *ast.SelectorExpr:
		if pkg, ok := of.X.(*ast.Ident); ok {
			return d.object(of.Sel, pkg.Name+".")
		}
	}
	return nil
}

// A Tally counts bodies by how they were found.
type Tally struct{ Fit, Differ, Unknown int }

// Count counts a body by what a check of it has returned.
func (t *Tally) Count(findings []string, known bool) {
	switch {
	case !known:
		t.Unknown++
	case len(findings) == 0:
		t.Fit++
	default:
		t.Differ++
	}
}

// String writes the counts out.
func (t Tally) String() string {
	return fmt.Sprintf("%d fit the document, %d differ, of %d it says nothing", t.Fit, t.Differ, t.Unknown)
}
