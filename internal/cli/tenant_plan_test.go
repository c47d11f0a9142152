package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// bareTenant serves a tenant with nothing but the database that every tenant has
// and somebody's welcome mail, and has the stage's plan work on it.
func (s *stage) bareTenant() *auth0.Tenant {
	s.Helper()
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Seed: auth0.Seed{
		Connections: []auth0.Connection{{Name: "Username-Password-Authentication"}},
		Templates:   []auth0.Template{{Name: "welcome_email", Enabled: true}},
	}})
	id, secret := tenant.ManagementClient()
	server, err := tenant.Start(s.dir)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = server.Close() })
	s.environ = append(s.environ, "AUTH0_DOMAIN="+server.Domain, "AUTH0_CA_FILE="+server.CAFile,
		"AUTH0_SETUP_CLIENT_ID="+id, "AUTH0_SETUP_CLIENT_SECRET="+secret)
	return tenant
}

// built is the receipt of auth0/tenant of the newest run.
type built struct {
	ClientID string            `json:"client_id"`
	Clients  map[string]string `json:"clients"`
	Audience string            `json:"audience"`
	Made     int64             `json:"made"`
	Changed  int64             `json:"changed"`
	Changes  []string          `json:"changes"`
}

func (s *stage) built() (b built) {
	s.Helper()
	text, err := json.Marshal(s.receipts("the tenant")["tenant"])
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// A tenant that has nothing gets everything, once; what somebody changes by hand is
// noticed and mended; and the plan itself compares the whole afterwards.
func TestAnEmptyTenantIsMadeWhatThePlansNeed(t *testing.T) {
	t.Parallel()
	s := stageOf(t, "auth0-tenant", sandbox.Options{Users: 3, Plan: auth0.Unlimited})
	tenant := s.bareTenant()
	s.phasegate(ExitDone, "run", s.plan)
	first := s.built()
	frontend, _, _ := tenant.Client("MedLogistics Admin Frontend")
	management, _, _ := tenant.Client("MedLogistics User Management")
	if frontend == "" || first.ClientID != frontend || first.Clients["MedLogistics User Management"] != management || first.Audience != "https://api.medlog.app" {
		t.Errorf("the receipt hands out %+v", first)
	}
	// Two applications, a grant, an API, four roles and an Action; a template, the
	// super_admin's permissions, the database, its application, and the Action's
	// deployment and binding.
	if first.Made != 9 || first.Changed != 6 {
		t.Errorf("made %d and changed %d: %q", first.Made, first.Changed, first.Changes)
	}

	tenant.ResetRequests()
	s.phasegate(ExitDone, "run", s.plan)
	second := s.built()
	if second.Made+second.Changed != 0 || !maps.Equal(second.Clients, first.Clients) {
		t.Errorf("the second run says %+v", second)
	}
	for endpoint := range tenant.Requests() {
		if !strings.HasPrefix(endpoint, "GET ") && endpoint != "POST /oauth/token" {
			t.Errorf("the second run sent %s", endpoint)
		}
	}

	tenant.SetTemplate("welcome_email", true)
	s.phasegate(ExitDone, "run", s.plan)
	if third := s.built(); third.Changed != 1 || !strings.Contains(third.Changes[0], "welcome_email") {
		t.Errorf("of what somebody changed the third run says %+v", third)
	}
}

// The migration's application gets the scopes that the plans ask for, and no other.
func TestTheTenantPlanGrantsWhatTheOtherPlansNeed(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../plans/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wanted, granted := map[string]bool{}, map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Phases []struct {
				Steps []struct {
					Task string
					With struct {
						Scopes       []string
						Applications []struct {
							Grants []struct{ Scopes []string }
						}
					}
				}
			}
		}
		_ = yaml.Unmarshal(text, &p) // other tasks' keys have other types
		for _, phase := range p.Phases {
			for _, step := range phase.Steps {
				for _, scope := range step.With.Scopes {
					wanted[scope] = true
				}
				for _, a := range step.With.Applications {
					for _, g := range a.Grants {
						for _, scope := range g.Scopes {
							granted[scope] = true
						}
					}
				}
			}
		}
	}
	if want, got := slices.Sorted(maps.Keys(wanted)), slices.Sorted(maps.Keys(granted)); len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("the plans need %q, the tenant plan grants %q", want, got)
	}
}

// Whoever was moved is mailed, the users of the sample logins too, and nobody twice;
// the plan waits until they have set their passwords.
func TestEverybodyIsMailedOnceAndWaitedFor(t *testing.T) {
	t.Parallel()
	s := stageOf(t, "auth0-migration", sandbox.Options{Users: 40, Unmigratable: true, Plan: auth0.Unlimited})
	s.phasegate(ExitDone, "run", s.plan)
	s.plan = unattended(t, "password-resets", t.TempDir())
	s.environ = append(s.environ, "MAILS_OVER=1s", "MIN_DONE=100%")
	if output := s.phasegate(ExitWaiting, "run", s.plan); !strings.Contains(output, "0 of 38 users can log in") {
		t.Errorf("it waits for another reason:\n%s", output)
	}
	s.phasegate(ExitWaiting, "run", s.plan)
	if err := s.box.SetPasswords(); err != nil {
		t.Fatal(err)
	}
	s.phasegate(ExitDone, "run", s.plan)
	mailed := map[string]int{}
	for _, mail := range s.box.Tenant().Mails() {
		if mailed[mail.UserID]++; mail.Template != "reset_email" || mailed[mail.UserID] > 1 {
			t.Errorf("%s was sent to %s, %d in all", mail.Template, mail.UserID, mailed[mail.UserID])
		}
	}
	if len(mailed) != 38 {
		t.Errorf("%d users were mailed", len(mailed))
	}
}
