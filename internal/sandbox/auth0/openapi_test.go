package auth0_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// The third major of the SDK is generated from Auth0's OpenAPI document. Its
// sources say, for every operation, which properties the closed bodies of
// requests have and which of them are wanted.
const generatedSDK = "github.com/auth0/go-auth0/v3@v3.0.0"

// An operation is what the generated SDK knows of one.
type operation struct{ request, response string }

// A shaped is the properties of a generated type, and whether each is wanted.
type shaped map[string]bool

// generated fetches the generated SDK through the module proxy and reads its
// operations, by method and path with {} for parameters, and its types.
func generated(t *testing.T) (map[string]operation, map[string]shaped) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", generatedSDK).Output()
	must(t, err)
	var module struct{ Dir string }
	must(t, json.Unmarshal(out, &module))
	operations, types := map[string]operation{}, map[string]shaped{}
	root := filepath.Join(module.Dir, "management")
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if d.Name() == "raw_client.go" {
			readOperations(t, path, operations)
		} else if filepath.Dir(path) == root {
			readTypes(t, path, types)
		}
		return nil
	}))
	return operations, types
}

var (
	operationPath     = regexp.MustCompile(`baseURL\s*\+\s*"([^"]+)"`)
	operationMethod   = regexp.MustCompile(`Method:\s+http\.Method(\w+)`)
	operationRequest  = regexp.MustCompile(`\n\trequest \*management\.(\w+)`)
	operationResponse = regexp.MustCompile(`core\.Response\[\*management\.(\w+)\], error`)
)

func readOperations(t *testing.T, file string, into map[string]operation) {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	for function := range strings.SplitSeq(string(data), "\nfunc (r *RawClient) ") {
		path, method := operationPath.FindStringSubmatch(function), operationMethod.FindStringSubmatch(function)
		if path == nil || method == nil {
			continue
		}
		var o operation
		if m := operationRequest.FindStringSubmatch(function); m != nil {
			o.request = m[1]
		}
		if m := operationResponse.FindStringSubmatch(function); m != nil {
			o.response = m[1]
		}
		into[strings.ToUpper(method[1])+" "+strings.TrimPrefix(strings.ReplaceAll(path[1], "%v", "{}"), "/")] = o
	}
}

func readTypes(t *testing.T, file string, into map[string]shaped) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	must(t, err)
	for _, declaration := range parsed.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			named, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if fields, ok := named.Type.(*ast.StructType); ok {
				into[named.Name.Name] = shapeOf(t, fields)
			}
		}
	}
}

func shapeOf(t *testing.T, fields *ast.StructType) shaped {
	t.Helper()
	s := shaped{}
	for _, field := range fields.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		must(t, err)
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name != "" && name != "-" {
			s[name] = options != "omitempty"
		}
	}
	return s
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// TestRequestBodiesAreThoseOfTheOpenAPIDocument compares the closed bodies of
// every endpoint that takes one with those of the document. Differences are in
// testdata/differences.txt, each with the reason.
func TestRequestBodiesAreThoseOfTheOpenAPIDocument(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("downloading the generated SDK takes a while: set PHASEGATE_SOAK=1")
	}
	t.Parallel()
	operations, types := generated(t)
	known := readReasons(t, openAPIMark)
	differ := func(line string) {
		if _, ok := known[line]; !ok {
			t.Errorf("%s", line)
		}
		known[line] = true
	}
	compareRequests(t, operations, types, differ)
	compareAnswers(t, operations, types, differ)
	for line, used := range known {
		if !used {
			t.Errorf("testdata/differences.txt: nothing differs like this any more: %s", line)
		}
	}
}

// inDocument is the name of an endpoint as the generated SDK has it.
func inDocument(pattern string) string {
	return parameter.ReplaceAllString(strings.Replace(pattern, "/api/v2/", "", 1), "{}")
}

func compareRequests(t *testing.T, operations map[string]operation, types map[string]shaped, differ func(string)) {
	t.Helper()
	bodies, alike := 0, 0
	for _, pattern := range auth0.Endpoints() {
		properties, required, ok := auth0.Body(pattern)
		if !ok {
			continue
		}
		bodies++
		wanted := types[operations[inDocument(pattern)].request]
		if wanted == nil {
			t.Errorf("%s: the generated SDK has no type for its body", pattern)
			continue
		}
		differences := bodyDifferences(properties, required, wanted)
		if len(differences) == 0 {
			alike++
		}
		for _, d := range differences {
			differ(pattern + ": " + d)
		}
	}
	t.Logf("%d closed bodies: %d as in the document, %d with differences", bodies, alike, bodies-alike)
}

// compareAnswers plays the recordings and looks whether the document has the
// properties of every object that the tenant answers with, and the answer those
// that the document wants.
func compareAnswers(t *testing.T, operations map[string]operation, types map[string]shaped, differ func(string)) {
	t.Helper()
	answers, alike := 0, 0
	for _, r := range recordings(t) {
		for _, p := range play(t, r, auth0.Timing{}) {
			pattern, _, _ := strings.Cut(p.endpoint, " of ")
			wanted := types[operations[inDocument(pattern)].response]
			var object map[string]any
			if p.status >= 300 || wanted == nil || json.Unmarshal(p.body, &object) != nil || strings.Contains(p.path(), "fields=") {
				continue
			}
			answers++
			before := alike
			alike++
			for name := range object {
				if _, ok := wanted[name]; !ok {
					alike = before
					differ(pattern + ": answers " + name)
				}
			}
			for name := range wanted {
				if _, ok := object[name]; !ok && wanted[name] {
					alike = before
					differ(pattern + ": does not answer " + name)
				}
			}
		}
	}
	t.Logf("%d answers: %d fit the document, %d with differences", answers, alike, answers-alike)
}

// bodyDifferences compares what an endpoint takes with what the document says.
func bodyDifferences(properties, required []string, wanted shaped) []string {
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch {
		case !slices.Contains(properties, name):
			differences = append(differences, name+" is refused")
		case wanted[name] && !slices.Contains(required, name):
			differences = append(differences, name+" may be left out")
		case !wanted[name] && slices.Contains(required, name):
			differences = append(differences, name+" is wanted")
		}
	}
	for _, name := range properties {
		if _, ok := wanted[name]; !ok {
			differences = append(differences, name+" is taken")
		}
	}
	return differences
}
