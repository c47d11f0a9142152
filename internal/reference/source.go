package main

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// module is the path in go.mod: what an import path begins with.
const module = "github.com/medlogistics/phasegate"

// A source reads what the comments of the module's types say. Reflection knows
// the types of a program but not their comments, so both are walked side by side.
type source struct {
	root     string                              // directory of go.mod
	packages map[string]map[string]*ast.TypeSpec // by import path and name; read when first asked for
	docs     map[*ast.TypeSpec]*ast.CommentGroup
	values   map[string][]*ast.ValueSpec // constants, by directory
}

func newSource(root string) *source {
	return &source{
		root, map[string]map[string]*ast.TypeSpec{}, map[*ast.TypeSpec]*ast.CommentGroup{}, map[string][]*ast.ValueSpec{},
	}
}

// spec returns the declaration of a named type of this module.
func (s *source) spec(t reflect.Type) (*ast.TypeSpec, error) {
	dir, ok := strings.CutPrefix(t.PkgPath(), module+"/")
	if !ok {
		return nil, fmt.Errorf("%s is not a type of this module", t)
	}
	if s.packages[t.PkgPath()] == nil {
		specs, err := s.parse(filepath.Join(s.root, filepath.FromSlash(dir)))
		if err != nil {
			return nil, err
		}
		s.packages[t.PkgPath()] = specs
	}
	spec := s.packages[t.PkgPath()][t.Name()]
	if spec == nil {
		return nil, fmt.Errorf("%s is not declared in %s", t.Name(), dir)
	}
	return spec, nil
}

// doc returns the comment of a named type as Markdown, without the Go name that
// Go's comments begin with.
func (s *source) doc(t reflect.Type) (string, error) {
	spec, err := s.spec(t)
	if err != nil {
		return "", err
	}
	text := s.docs[spec].Text()
	if text == "" {
		return "", fmt.Errorf("%s has no comment", t)
	}
	for _, article := range []string{"", "A ", "An "} {
		if rest, ok := strings.CutPrefix(text, article+t.Name()+" "); ok {
			text = strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	var p comment.Parser
	printer := comment.Printer{HeadingLevel: 3, HeadingID: func(*comment.Heading) string { return "" }}
	markdown := strings.TrimSpace(string(printer.Markdown(p.Parse(text))))
	return escaped.ReplaceAllString(markdown, "${1}_${2}"), nil
}

// escaped is an underscore inside a word, which Markdown leaves alone without a
// backslash too.
var escaped = regexp.MustCompile(`(\w)\\_(\w)`)

// structOf returns the declaration of a struct type, named or not. expr is what
// stands in the source where the type is used.
func (s *source) structOf(t reflect.Type, expr ast.Expr) (*ast.StructType, error) {
	if t.Name() != "" {
		spec, err := s.spec(t)
		if err != nil {
			return nil, err
		}
		expr = spec.Type
	}
	for {
		switch e := expr.(type) {
		case *ast.StructType:
			return e, nil
		case *ast.StarExpr:
			expr = e.X
		case *ast.ArrayType:
			expr = e.Elt
		case *ast.MapType:
			expr = e.Value
		default:
			return nil, fmt.Errorf("%s is not written as a struct", t)
		}
	}
}

// parse reads the types that the files of a package declare, but for its tests.
func (s *source) parse(dir string) (map[string]*ast.TypeSpec, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the sources of a type: %w", err)
	}
	specs := map[string]*ast.TypeSpec{}
	files := token.NewFileSet()
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(dir, entry.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read the sources of a type: %w", err)
		}
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok {
				s.collect(dir, decl, specs)
			}
		}
	}
	return specs, nil
}

func (s *source) collect(dir string, decl *ast.GenDecl, specs map[string]*ast.TypeSpec) {
	for _, spec := range decl.Specs {
		if value, ok := spec.(*ast.ValueSpec); ok && decl.Tok == token.CONST {
			s.values[dir] = append(s.values[dir], value)
		}
		spec, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		specs[spec.Name.Name] = spec
		s.docs[spec] = spec.Doc
		if spec.Doc == nil {
			s.docs[spec] = decl.Doc
		}
	}
}

// fieldOf returns the declaration of a field of the struct type t, or of a struct
// that it embeds, and its comment.
func (s *source) fieldOf(declared *ast.StructType, t reflect.Type, f task.Field) (*ast.Field, string, error) {
	if last := len(f.Index) - 1; last > 0 {
		var err error
		if declared, err = s.structOf(t.FieldByIndex(f.Index[:last]).Type, nil); err != nil {
			return nil, "", err
		}
	}
	field, doc := commented(declared, f.Name)
	return field, doc, nil
}

// commented returns the declaration of a struct's field and its comment on one
// line: the one above it, or the one behind it.
func commented(declared *ast.StructType, name string) (*ast.Field, string) {
	for _, field := range declared.Fields.List {
		for _, ident := range field.Names {
			if ident.Name == name {
				return field, meaning(name, field.Doc.Text()+field.Comment.Text())
			}
		}
	}
	return nil, ""
}

// meaning is a field's comment on one line. "Every is the time between" loses
// the Go name, which is not the key's, and so does "Reach says how".
func meaning(name, text string) string {
	text = strings.Join(strings.Fields(text), " ")
	rest, ok := strings.CutPrefix(text, name+" ")
	if !ok || rest == "" {
		return text
	}
	for _, verb := range []string{"is ", "are "} {
		rest = strings.TrimPrefix(rest, verb)
	}
	word, _, _ := strings.Cut(rest, " ")
	if slices.Contains([]string{"of", "that", "before", "must"}, word) {
		return text
	}
	return strings.ToUpper(rest[:1]) + rest[1:]
}
