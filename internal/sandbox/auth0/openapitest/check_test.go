package openapitest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// source is in the form in which the module is generated.
const source = `package management

type PetRequest struct {
	Name  string         ` + "`json:\"name\" url:\"-\"`" + `
	Kind  *Kind          ` + "`json:\"kind,omitempty\" url:\"-\"`" + `
	Owner *Owner         ` + "`json:\"owner,omitempty\" url:\"-\"`" + `
	Tags  []string       ` + "`json:\"tags,omitempty\" url:\"-\"`" + `
	Age   *int           ` + "`json:\"age,omitempty\" url:\"-\"`" + `
	Born  *time.Time     ` + "`json:\"born,omitempty\" url:\"-\"`" + `
	Notes map[string]any ` + "`json:\"notes,omitempty\" url:\"-\"`" + `

	extraProperties map[string]interface{}
}

type Owner struct {
	ID              *OwnerID               ` + "`json:\"id,omitempty\"`" + `
	ExtraProperties map[string]interface{} ` + "`json:\"-\"`" + `
}

type OwnerID struct {
	String  string
	Integer int
	typ     string
}

type Kind string

const KindCat Kind = "cat"

func (r *RawClient) Update(ctx context.Context, id string, request *PetRequest) (*core.Response[*PetRequest], error) {
	endpointURL := internal.EncodeURL(baseURL+"/pets/%v", id)
	return r.call(endpointURL, http.MethodPatch, request)
}

func (c *Client) List(ctx context.Context) (*core.Page[*int, *Owner, *PetRequest], error) {
	return c.call(baseURL + "/pets", http.MethodGet)
}
`

func document(t *testing.T) *Document {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "pets.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	d := &Document{operations: map[string]operation{}, types: map[string]ast.Expr{}, values: map[string]map[string]bool{}}
	d.read(file)
	return d
}

func TestABodyIsHeldToEveryPropertyOfTheDocument(t *testing.T) {
	t.Parallel()
	d := document(t)
	for body, want := range map[string][]string{
		`{"name":"Tom","kind":"cat","tags":["a"],"age":3,"born":"2026-01-02T03:04:05Z","notes":{"x":1}}`: nil,
		`{"name":"Tom","owner":{"id":7,"anything":true}}`:                                                nil,
		`{"name":"Tom","owner":{"id":"x"},"kind":null}`:                                                  nil,
		`{"kind":"dog"}`: {".kind is none of the values", ".name is missing"},
		`{"name":5,"tags":[1],"age":1.5,"born":"today"}`: {".age is no integer", ".born is no date and time", ".name is no string", ".tags[] is no string"},
		`{"name":"Tom","owner":{"id":true}}`:             {".owner.id is no string"},
		`{"name":"Tom","colour":"red"}`:                  {".colour is not in the document"},
		`{"name":"Tom","owner":[],"tags":{},"notes":1}`:  {".notes is no object", ".owner is no object", ".tags is no array"},
		`[]`: {". is no object"},
	} {
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		for _, endpoint := range []string{"PATCH /api/v2/pets/{id}", "PATCH /api/v2/pets/42?x=1"} {
			got, ok := d.Request(endpoint, value)
			if !ok || !slices.Equal(got, want) {
				t.Errorf("%s %s: %q, known: %v, want %q", endpoint, body, got, ok, want)
			}
		}
	}
	if _, ok := d.Request("GET /api/v2/pets", nil); ok {
		t.Error("an operation without a body has one")
	}
	if _, ok := d.Response("GET /api/v2/birds", nil); ok {
		t.Error("an operation that is not there has an answer")
	}
	if wanted := d.Body("PATCH /api/v2/pets/{id}"); len(wanted) != 7 || !wanted["name"] || wanted["kind"] {
		t.Errorf("the body has the properties %v", wanted)
	}
}

func TestAListIsAnsweredWithAndWithoutTotals(t *testing.T) {
	t.Parallel()
	d := document(t)
	for body, want := range map[string]int{`[{"id":1}]`: 0, `[{"id":[]}]`: 1, `{"name":"page"}`: 0, `{"id":1}`: 2} {
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		if got, ok := d.Response("GET /api/v2/pets", value); !ok || len(got) != want {
			t.Errorf("%s: %q, want %d findings", body, got, want)
		}
	}
}
