package auth0

import (
	"errors"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

const creating = "POST /api/v2/users"

func TestImportComesThroughTrouble(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]emulator.Fault{
		"answers lost after the effect":  {{Endpoint: creating, Share: 0.2, Seed: 1, Do: emulator.ResetAfter}},
		"connections lost before it":     {{Endpoint: creating, Share: 0.2, Seed: 2, Do: emulator.ResetBefore}},
		"503s":                           {{Endpoint: creating, Share: 0.1, Seed: 3, Do: emulator.Status(503)}},
		"a storm of 429s":                {{Endpoint: creating, After: 20, Count: 8, Do: emulator.TooManyRequests}},
		"the token expires in mid-run":   {{Endpoint: creating, After: 30, Count: 1, Do: emulator.ExpiredToken}},
		"roles fail, then their answers": {{Endpoint: "POST /api/v2/roles/{id}/users", Count: 1, Do: emulator.Status(500)}, {Endpoint: "POST /api/v2/roles/{id}/users", Count: 1, Do: emulator.ResetAfter}},
		"reads fail":                     {{Endpoint: "GET /api/v2/users/{id}", Share: 0.3, Seed: 4, Do: emulator.Status(502)}, {Endpoint: creating, Count: 10, Do: emulator.ResetAfter}},
		"the token endpoint falters":     {{Endpoint: "POST /oauth/token", Count: 1, After: 1, Do: emulator.Status(503)}, {Endpoint: creating, After: 30, Count: 1, Do: emulator.ExpiredToken}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(60))
			for _, f := range faults {
				s.tenant.Fault(f)
			}
			r := s.move(tasktest.Env(t))
			if r.Created != 60 || r.Adopted != 0 || r.Failed != 0 || r.SuccessRate != 1 {
				t.Errorf("the receipt says %+v", r)
			}
			s.exactlyOnce(0)
		})
	}
}

func TestImportGivesUpOnATenantThatIsDownAndLeavesNothingUncertain(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60))
	s.tenant.Fault(emulator.Fault{Endpoint: creating, After: 25, Do: emulator.Status(503)})
	i := s.importer()
	i.Patience = 2 * time.Second
	env := tasktest.Env(t)
	r, err := i.Run(t.Context(), env)
	if !errors.Is(err, errGivenUp) || task.HintOf(err) == "" {
		t.Fatalf("the error is %v, hint %q", err, task.HintOf(err))
	}
	if r.Created != 25 || r.Failed != 35 || r.Transient != 35 || s.number("select count(auth0_user_id) from users") != 25 {
		t.Errorf("the receipt says %+v", r)
	}
	s.tenant.ClearFaults()
	if r := s.move(env); r.Already != 25 || r.Created != 35 {
		t.Errorf("the next receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

func TestUsersWithoutTheirRoleAreLeftForTheNextRun(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", Do: emulator.Status(500)})
	i := s.importer()
	i.Patience = time.Second
	env := tasktest.Env(t)
	r, err := i.Run(t.Context(), env)
	if !errors.Is(err, errGivenUp) || r.Transient != 10 || r.Created != 0 || r.SuccessRate != 0 {
		t.Fatalf("the receipt says %+v, the error %v", r, err)
	}
	failures := s.report(r.Report)
	for _, f := range failures {
		if f.Reason != roleNotAssigned || f.Kind != "transient" || f.User != "auth0|ml-"+f.Row {
			t.Errorf("the report says %+v", f)
		}
	}
	if len(failures) == 0 {
		t.Error("the report names nobody")
	}
	s.tenant.ClearFaults()
	s.move(env)
	s.exactlyOnce(0)
}

func TestImportSurvivesTheLossOfItsDatabaseConnections(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(200))
	env := tasktest.Env(t)
	env.Progress = func(done, _ int64, _ string) {
		if done%60 == 30 {
			s.exec(`select pg_terminate_backend(pid) from pg_stat_activity
				where application_name = 'phasegate' and datname = current_database()`)
		}
	}
	if r := s.move(env); r.Created != 200 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

func TestImportStopsAtOnceWhereNobodyCouldBeMoved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		break_ func(*scene, *ImportUsers)
		want   string
		hint   string
	}{
		"wrong secret": {
			func(_ *scene, i *ImportUsers) { i.ClientID = "nobody" },
			"the tenant answered 401 access_denied", "client_secret",
		},
		"no client grant": {
			func(s *scene, i *ImportUsers) {
				i.ClientID, _ = s.tenant.AddClient(emulator.Client{Name: "x", Secret: i.ClientSecret.Reveal(), GrantTypes: []string{"client_credentials"}})
			},
			"the tenant answered 403 access_denied", "client grant",
		},
		"missing scope": {
			func(s *scene, i *ImportUsers) {
				s.tenant.Grant(i.ClientID, emulator.Management, "read:users", "read:connections", "read:roles")
			},
			"create:users", "scopes",
		},
		"unknown connection": {
			func(_ *scene, i *ImportUsers) { i.Connection = "Elsewhere" },
			"find connection Elsewhere", "case-sensitive",
		},
		"connection enabled for nobody": {
			func(s *scene, _ *ImportUsers) {
				s.tenant.SetConnection(directory, false, "MedLogistics Admin Frontend", "MedLogistics Sample Login")
			},
			"enabled for no application", "enable it",
		},
		"unknown role": {
			func(_ *scene, i *ImportUsers) { i.Roles["nurse"] = "Nurse" },
			"no role Nurse", "case-sensitive",
		},
		"nobody there": {
			func(s *scene, i *ImportUsers) { i.Domain = "127.0.0.1:1" },
			"connection refused", "check the domain",
		},
		"no such host": {
			func(s *scene, i *ImportUsers) { i.Domain = "tenant.invalid" },
			"tenant.invalid", "check the domain",
		},
		"certificate not trusted": {
			func(s *scene, i *ImportUsers) { i.CAFile = "" },
			"certificate", "ca_file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(5))
			i := s.importer()
			c.break_(s, i)
			_, err := i.Run(t.Context(), tasktest.Env(t))
			if err == nil {
				t.Fatal("there is no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(task.HintOf(err), c.hint) {
				t.Errorf("the error is %q with hint %q", err, task.HintOf(err))
			}
			if n := s.tenant.CountUsers(); n > 0 {
				t.Errorf("%d users were made", n)
			}
		})
	}
}
