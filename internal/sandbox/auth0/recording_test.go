package auth0_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"
	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0/openapitest"
)

// recordedDomain is the tenant from which the SDK's test data was recorded.
const recordedDomain = "go-auth0-dev.eu.auth0.com"

// families are the parts of the Management API that the tenant serves.
var families = regexp.MustCompile(`^/api/v2/(users|users-by-email|user-blocks|roles|jobs|tickets|connections|clients|client-grants|resource-servers|actions|email-templates|tenants)([/?]|$)`)

// prerequisites are requests that some of the recordings make first. They are
// played and not compared.
var prerequisites = regexp.MustCompile(`^/api/v2/organizations([/?]|$)`)

// A recording is one file of real traffic.
type recording struct {
	name         string
	Interactions []interaction `yaml:"interactions"`
}

type interaction struct {
	Request struct {
		Method  string              `yaml:"method"`
		URL     string              `yaml:"url"`
		Body    string              `yaml:"body"`
		Headers map[string][]string `yaml:"headers"`
	} `yaml:"request"`
	Response struct {
		Code int    `yaml:"code"`
		Body string `yaml:"body"`
	} `yaml:"response"`
}

func (i interaction) path() string {
	return strings.TrimPrefix(i.Request.URL, "https://"+recordedDomain)
}

// sdkModule returns the directory of the SDK in the module cache.
func sdkModule(t *testing.T) string {
	t.Helper()
	return openapitest.ModuleDir(t, "github.com/auth0/go-auth0")
}

// recordings reads the SDK's test data from the module cache.
func recordings(t *testing.T) []recording {
	t.Helper()
	var all []recording
	root := filepath.Join(sdkModule(t), "test", "data", "recordings")
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") || strings.Contains(path, "authentication") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), recordedDomain+"/api/v2/") {
			return err
		}
		name, err := filepath.Rel(root, strings.TrimSuffix(path, ".yaml"))
		r := recording{name: name}
		all = append(all, r)
		if err != nil {
			return err
		}
		return yaml.Unmarshal(data, &all[len(all)-1])
	}))
	return all
}

var idLike = regexp.MustCompile(`/[^/?]*([0-9_]|%7C)[^/?]{7,}`)

// anonymous takes ids and the query out of a path.
func anonymous(path string) string {
	path, _, _ = strings.Cut(path, "?")
	prefix := "/api/v2"
	return prefix + idLike.ReplaceAllString(strings.TrimPrefix(path, prefix), "/{id}")
}

// recordedTenant is like the tenant that was recorded, as far as its recordings
// show what was there before.
func recordedTenant() auth0.Config {
	return auth0.Config{
		Plan: auth0.Unlimited, Domain: recordedDomain,
		Seed: auth0.Seed{
			Clients: []auth0.Client{{Name: "Default App"}},
			Connections: []auth0.Connection{{
				Name: connection, Clients: []string{"Default App"}, Options: recordedOptions(),
			}},
			Templates: []auth0.Template{{Name: "verify_email"}},
		},
	}
}

// recordedOptions are those of the tenant's first connection, which was there
// before anything was recorded.
func recordedOptions() map[string]any {
	return map[string]any{
		"requires_username": true, "import_mode": false, "configuration": map[string]any{},
		"customScripts": map[string]any{}, "enabledDatabaseCustomization": false,
		"validation":                  map[string]any{"username": map[string]any{"min": 1, "max": 15}},
		"password_history":            map[string]any{"enable": false, "size": 5},
		"password_dictionary":         map[string]any{"enable": false, "dictionary": []any{}},
		"password_no_personal_info":   map[string]any{"enable": false},
		"password_complexity_options": map[string]any{"min_length": 8},
	}
}

// furnish gives the tenant the settings and templates that a recording finds:
// how the recorded tenant was configured is no behaviour.
func furnish(t *testing.T, tenant *auth0.Tenant, token string, r recording) {
	t.Helper()
	done := map[string]bool{}
	for _, i := range r.Interactions {
		path, _, _ := strings.Cut(i.path(), "?")
		template := strings.HasPrefix(path, "/api/v2/email-templates/")
		if i.Response.Code != 200 || done[path] || !template && path != "/api/v2/tenants/settings" {
			continue
		}
		done[path] = true
		var found, there map[string]any
		must(t, json.Unmarshal([]byte(i.Response.Body), &found))
		i.Request.URL, i.Request.Method = "https://"+recordedDomain+path, "GET"
		_, body := send(tenant, token, i, nil)
		must(t, json.Unmarshal(body, &there))
		for key := range there {
			if _, ok := found[key]; !ok {
				found[key] = nil // takes it out
			}
		}
		delete(found, "sandbox_versions_available")
		i.Request.Method, i.Request.Body = "PATCH", string(marshal(t, found))
		if status, body := send(tenant, token, i, nil); status != 200 {
			t.Fatalf("%s: furnish %s: %s", r.name, path, body)
		}
	}
}

// redact does to an answer what the SDK's recorder did before it wrote one down:
// applications and APIs went through the SDK's own types, which drop what they
// do not know (management/http_recordings_test.go of the SDK).
func redact(t *testing.T, i interaction, body []byte) []byte {
	t.Helper()
	path := i.path()
	known := !strings.Contains(path, "include_totals") && i.Request.Method != "DELETE"
	switch {
	case known && strings.HasPrefix(path, "/api/v2/clients") && !strings.Contains(path, "/connections") && !strings.Contains(path, "/credentials"):
		var client management.Client
		must(t, json.Unmarshal(body, &client))
		client.SigningKeys = []map[string]string{{"cert": ""}}
		client.ClientSecret = sdk.String("")
		return marshal(t, client)
	case known && strings.HasPrefix(path, "/api/v2/resource-servers"):
		var api management.ResourceServer
		must(t, json.Unmarshal(body, &api))
		api.SigningSecret = nil
		return marshal(t, api)
	}
	return body
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	must(t, err)
	return data
}
