package auth0_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0/openapitest"
)

// An exchange is a request that the tenant has accepted, and its answer.
type exchange struct{ endpoint, path, request, answer string }

// findings returns what in an exchange does not fit the document, and counts it.
func (e exchange) findings(document *openapitest.Document, tally *openapitest.Tally) []string {
	var all []string
	add := func(direction, text string, check func(string, any) ([]string, bool)) {
		var body any
		if json.Unmarshal([]byte(text), &body) != nil || body == nil {
			return // no body, or a form
		}
		findings, known := check(e.endpoint, body)
		tally.Count(findings, known)
		for _, f := range findings {
			all = append(all, e.endpoint+": "+direction+" "+f)
		}
	}
	add("request", e.request, document.Request)
	if !strings.Contains(e.path, "fields=") { // else what the document wants may be left out
		add("answer", e.answer, document.Response)
	}
	return all
}

// compareTraffic plays the recordings, and what they leave out, and holds the
// bodies of both directions to the document. Where the real tenant's recorded
// answer does not fit it in the same way, the recording wins.
func compareTraffic(t *testing.T, document *openapitest.Document, differ func(string)) {
	t.Helper()
	var ours, recorded openapitest.Tally
	shown, found, met := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range recordings(t) {
		for _, p := range play(t, r, auth0.Timing{}) {
			endpoint, _, _ := strings.Cut(p.endpoint, " of ")
			if p.Response.Code < http.StatusMultipleChoices {
				e := exchange{endpoint, p.path(), p.Request.Body, p.Response.Body}
				for _, f := range e.findings(document, &recorded) {
					shown[f] = true
				}
			}
			if p.status < http.StatusMultipleChoices {
				met[endpoint] = true
				for _, f := range (exchange{endpoint, p.path(), p.Request.Body, string(p.body)}).findings(document, &ours) {
					found[f] = true
				}
			}
		}
	}
	for _, e := range supplement(t) {
		met[e.endpoint] = true
		for _, f := range e.findings(document, &ours) {
			found[f] = true
		}
	}
	t.Logf("bodies of the real tenant: %s", recorded)
	t.Logf("bodies here: %s", ours)
	for _, line := range slices.Sorted(maps.Keys(found)) {
		if !shown[line] {
			differ(line)
		}
	}
	for _, endpoint := range auth0.Endpoints() {
		if strings.Contains(endpoint, "/api/v2/") && !met[endpoint] {
			t.Errorf("no traffic was held to the document: %s", endpoint)
		}
	}
}

// supplement makes a request to each endpoint that no recording shows.
func supplement(t *testing.T) []exchange {
	t.Helper()
	tenant, _ := seeded(nil)
	var all []exchange
	do := func(method, path, body string) map[string]any {
		tenant.ResetRequests()
		a := request(tenant, method, path, body)
		endpoint := slices.Collect(maps.Keys(tenant.Requests()))[0]
		if a.status >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		all = append(all, exchange{endpoint, path, body, a.body})
		var object map[string]any
		_ = json.Unmarshal([]byte(a.body), &object) // some answer nothing
		return object
	}
	do("POST", "/api/v2/email-templates", `{"template":"stolen_credentials","body":"","from":"","subject":"","syntax":"liquid","enabled":false}`)
	user := do("POST", "/api/v2/users", userBody(1))["user_id"].(string)
	do("GET", "/api/v2/users/"+url.PathEscape(user)+"/refresh-tokens", "")
	do("DELETE", "/api/v2/users/"+url.PathEscape(user)+"/refresh-tokens", "")
	id := do("POST", "/api/v2/organizations", `{"name":"ward-1"}`)["id"].(string)
	do("GET", "/api/v2/organizations/"+id, "")
	do("POST", "/api/v2/organizations/"+id+"/members", `{"members":["`+user+`"]}`)
	grant := grantOf(t, tenant)
	do("PATCH", "/api/v2/client-grants/"+grant, `{"organization_usage":"allow"}`)
	do("POST", "/api/v2/organizations/"+id+"/client-grants", `{"grant_id":"`+grant+`"}`)
	do("DELETE", "/api/v2/organizations/"+id, "")
	connections := request(tenant, "GET", "/api/v2/connections", "").list(t)
	connection := connections[0].(map[string]any)["id"].(string)
	do("DELETE", "/api/v2/connections/"+connection+"/users?email=person.1@hospital.example.com", "")
	return all
}

// grantOf returns the id of one of the tenant's client grants.
func grantOf(t *testing.T, tenant *auth0.Tenant) string {
	t.Helper()
	return request(tenant, "GET", "/api/v2/client-grants", "").list(t)[0].(map[string]any)["id"].(string)
}
