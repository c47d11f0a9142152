package auth0

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0/openapitest"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// A watched tenant notes the bodies of both directions.
type watched struct {
	tenant *emulator.Tenant

	mu        sync.Mutex
	exchanges []said
}

// A said is a request to the Management API that was accepted.
type said struct{ endpoint, request, answer string }

func (w *watched) ServeHTTP(out http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	w.tenant.ServeHTTP(answer, req)
	if path := req.URL.EscapedPath(); strings.HasPrefix(path, "/api/v2/") && answer.Code < http.StatusMultipleChoices {
		w.mu.Lock()
		w.exchanges = append(w.exchanges, said{req.Method + " " + path, string(body), answer.Body.String()})
		w.mu.Unlock()
	}
	maps.Copy(out.Header(), answer.Header())
	out.WriteHeader(answer.Code)
	_, _ = out.Write(answer.Body.Bytes()) // a client that has gone needs none
}

// watch serves a tenant so that what is said is noted, and returns where.
func watch(t testing.TB, tenant *emulator.Tenant) (w *watched, domain, caFile string) {
	t.Helper()
	w = &watched{tenant: tenant}
	server := httptest.NewTLSServer(w)
	t.Cleanup(server.Close)
	domain, caFile = server.Listener.Addr().String(), filepath.Join(t.TempDir(), "ca.pem")
	tenant.SetDomain(domain)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	must(t, os.WriteFile(caFile, certificate, 0o600))
	return w, domain, caFile
}

// recordedOnly are the properties of which the document does not know and which the
// recorded traffic of a real tenant has at the same endpoint, as the replay in
// internal/sandbox/auth0 proves. Of those in answers the tasks read none.
func recordedOnly() []string {
	return []string{
		"resource-servers: request .token_lifetime_for_web", // the document has it in no request; the real tenant takes it
		".current_version", ".enabled_clients", ".type", // of Actions, connections and roles
		".limit", ".start", ".total", // of lists that are also read by checkpoint
	}
}

// TestWhatTheTasksSayIsInTheOpenAPIDocument holds every body of the traffic of all
// tasks to Auth0's document, to the last property.
func TestWhatTheTasksSayIsInTheOpenAPIDocument(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("reading the generated SDK takes a while: set PHASEGATE_SOAK=1")
	}
	t.Parallel()
	document := openapitest.Load(t)
	tenant, site := startSite(t)
	w, domain, caFile := watch(t, tenant)
	site.Domain, site.CAFile = domain, caFile
	_, err := site.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	asDeclared(t, tenant, site)
	w.hold(t, document)

	s := newScene(t, users(40))
	w, s.server.Domain, s.server.CAFile = watch(t, s.tenant)
	s.moveAndBack()
	w.hold(t, document)
}

// moveAndBack runs every task about users.
func (s *scene) moveAndBack() {
	s.t.Helper()
	t, env := s.t.(*testing.T), tasktest.Env(s.t)
	ready := &Ready{Access: s.access(), Connection: directory, Roles: []string{"nurse"}}
	_, err := ready.Run(t.Context(), env)
	must(t, err)
	s.moveAs("run-0")
	s.exec("update users set auth0_user_id = null, role = 'doctor' where role = 'nurse'")
	s.moveAs("run-0") // adopts, with another role
	_, err = s.sampler(t).Run(t.Context(), env)
	must(t, err)
	_, err = s.resetter().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	_, _ = s.progress().Run(t.Context(), tasktest.Env(t)) // closed: nobody has a password
	s.exec("update users set auth0_user_id = null")
	remover := s.remover()
	remover.RunID = "run-0"
	_, err = remover.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	s.moveBulk(tasktest.Env(t))
	s.exec("update users set auth0_user_id = null where id in (select id from users limit 5)")
	s.moveBulk(tasktest.Env(t)) // whose lines the job refuses
	_, err = s.verifier().Run(t.Context(), tasktest.Env(t))
	must(t, err)
}

// hold holds what was noted to the document.
func (w *watched) hold(t *testing.T, document *openapitest.Document) {
	t.Helper()
	var tally openapitest.Tally
	found := map[string]bool{}
	for _, e := range w.exchanges {
		for direction, text := range map[string]string{"request": e.request, "answer": e.answer} {
			var body any
			if json.Unmarshal([]byte(text), &body) != nil || body == nil {
				continue // none, or a form
			}
			check := document.Request
			if direction == "answer" {
				check = document.Response
			}
			findings, known := check(e.endpoint, body)
			tally.Count(findings, known)
			for _, f := range findings {
				found[e.endpoint+": "+direction+" "+f] = true
			}
		}
	}
	t.Logf("%d requests were accepted; bodies: %s", len(w.exchanges), tally)
	for _, line := range slices.Sorted(maps.Keys(found)) {
		property, unknown := strings.CutSuffix(line, " is not in the document")
		if !unknown || !slices.ContainsFunc(recordedOnly(), func(known string) bool { return strings.HasSuffix(property, known) }) {
			t.Error(line)
		}
	}
}
