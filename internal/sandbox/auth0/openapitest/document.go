// Package openapitest holds JSON bodies to Auth0's OpenAPI document of the
// Management API, for tests.
//
// The document itself (github.com/auth0/docs-v2, main/docs/oas/management/v2) is in
// no package registry. What is read here are the sources of the module
// github.com/auth0/go-auth0/v3, which is generated from it: for each operation the
// types of its body and of its answer, with their properties, whether they are
// wanted, their kinds, the values of enumerations, and whether an object is closed.
// What generation drops cannot be checked: lengths, patterns, and whether null is
// allowed where a property may be left out.
package openapitest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
)

// module is the version that is read. Go checks its contents against the
// checksum database.
const module = "github.com/auth0/go-auth0/v3@v3.0.0"

// A Document is what the generated sources know of the document.
type Document struct {
	operations map[string]operation       // by method and path, with {} for parameters
	types      map[string]ast.Expr        // by package and name
	values     map[string]map[string]bool // of enumerations, by the same
}

// An operation has a body and an answer, nil for none. One that lists in pages
// answers a bare array of items too, where no totals are asked for.
type operation struct{ request, response, item ast.Expr }

// management is the package that the sources keep nearly all types in.
const management = "management"

// Load fetches the module through the module proxy, or takes it from the module
// cache, and reads it. It fails the test where it cannot.
func Load(t testing.TB) *Document {
	t.Helper()
	d := &Document{operations: map[string]operation{}, types: map[string]ast.Expr{}, values: map[string]map[string]bool{}}
	root := filepath.Join(ModuleDir(t, module), management)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		d.read(file)
		return nil
	})
	if err != nil {
		t.Fatalf("read the generated SDK: %v", err)
	}
	return d
}

// ModuleDir returns the directory of a module in the module cache, and downloads
// it first if need be. A module without a version is the one that go.mod names.
func ModuleDir(t testing.TB, name string) string {
	t.Helper()
	out, err := command.Command{Argv: []string{"go", "mod", "download", "-json", name}}.Output(t.Context())
	if err != nil {
		t.Fatalf("download the module %s, which this test reads: %v\n%s", name, err, out)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Dir == "" {
		t.Fatalf("download the module %s: go mod download says %s", name, out)
	}
	return found.Dir
}

// read takes in a file's types, enumerations and operations.
func (d *Document) read(file *ast.File) {
	in := file.Name.Name + "."
	for _, declaration := range file.Decls {
		switch it := declaration.(type) {
		case *ast.FuncDecl:
			d.readOperation(in, it)
		case *ast.GenDecl:
			for _, spec := range it.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					d.types[in+spec.Name.Name] = spec.Type
				case *ast.ValueSpec:
					d.readValue(in, spec)
				}
			}
		}
	}
}

// readValue takes in a constant of an enumeration.
func (d *Document) readValue(in string, spec *ast.ValueSpec) {
	of, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	if d.values[in+of.Name] == nil {
		d.values[in+of.Name] = map[string]bool{}
	}
	d.values[in+of.Name][strings.Trim(literal.Value, `"`)] = true
}

// readOperation takes in a method that makes a request.
func (d *Document) readOperation(in string, f *ast.FuncDecl) {
	var path, method string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			base, named := n.X.(*ast.Ident)
			literal, ok := n.Y.(*ast.BasicLit)
			if named && ok && base.Name == "baseURL" {
				path = strings.Trim(literal.Value, `"/`)
			}
		case *ast.SelectorExpr:
			if verb, ok := strings.CutPrefix(n.Sel.Name, "Method"); ok && verb != "" {
				method = strings.ToUpper(verb)
			}
		}
		return true
	})
	if path == "" || method == "" {
		return
	}
	var o operation
	for _, parameter := range f.Type.Params.List {
		if len(parameter.Names) == 1 && parameter.Names[0].Name == "request" {
			o.request = qualified(in, parameter.Type)
		}
	}
	if results := f.Type.Results; results != nil && len(results.List) > 0 {
		o.response, o.item = answered(in, results.List[0].Type)
	}
	name := method + " " + strings.ReplaceAll(path, "%v", "{}")
	if o.response != nil || d.operations[name].response == nil {
		d.operations[name] = o // some are there twice, once without the answer's type
	}
}

// answered takes the type of an answer's body out of *core.Response[BODY] or
// *core.Page[CURSOR, ITEM, BODY].
func answered(in string, result ast.Expr) (body, item ast.Expr) {
	pointer, ok := result.(*ast.StarExpr)
	if !ok {
		return nil, nil
	}
	switch of := pointer.X.(type) {
	case *ast.IndexExpr:
		return qualified(in, of.Index), nil
	case *ast.IndexListExpr:
		if len(of.Indices) == 3 {
			return qualified(in, of.Indices[2]), qualified(in, of.Indices[1])
		}
	}
	return nil, nil
}

// qualified wraps a type so that its names are looked for in a package.
func qualified(in string, of ast.Expr) ast.Expr { return &inPackage{Expr: of, in: in} }

// inPackage is a type with the package that it stands in, as "name.".
type inPackage struct {
	ast.Expr
	in string
}

// operation finds an endpoint, named by its pattern, as in
// "GET /api/v2/users/{id}", or by the path of a request.
func (d *Document) operation(endpoint string) (operation, bool) {
	endpoint, _, _ = strings.Cut(endpoint, "?")
	asked := strings.Split(strings.Replace(endpoint, "/api/v2/", "", 1), "/")
	best, literal := "", -1
	for name := range d.operations {
		if n := alike(strings.Split(name, "/"), asked); n > literal {
			best, literal = name, n
		}
	}
	return d.operations[best], literal >= 0
}

// alike returns how many parts of a path are as a pattern has them, -1 if the
// path is not one of the pattern's.
func alike(pattern, path []string) int {
	if len(pattern) != len(path) {
		return -1
	}
	n := 0
	for i, part := range pattern {
		switch part {
		case path[i]:
			n++
		case "{}":
		default:
			return -1
		}
	}
	return n
}
