package service_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

func TestAnAddressSaysWhatAServiceIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"compose://api",
		"compose://api?file=docker-compose.yml",
		"compose://api?file=a.yml&file=b.yml&project=medlog",
		"systemd://medlogistics-api",
		"systemd://api@1.service?scope=user",
		"exec:///srv/api/control",
	} {
		var a service.Address
		if err := a.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if a.String() != text {
			t.Errorf("%s became %s", text, a)
		}
	}
}

func TestAnAddressThatSaysSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "begins with none of",
		"api":                              "begins with none of",
		"docker://api":                     "begins with none of",
		"http://localhost:8000":            "begins with none of",
		"compose://":                       "needs the name of a Compose service",
		"compose://api/web":                "needs the name of a Compose service and nothing else",
		"compose://--project-name":         "begins with a dash",
		"compose://api?files=x.yml":        `"files" is not one of its parameters: file, project`,
		"compose://api?file=":              "file is empty",
		"systemd://":                       "needs the name of a unit",
		"systemd://a?scope=global":         `scope is "global"`,
		"systemd://-H":                     "begins with a dash",
		"exec://control":                   "whole path of a script",
		"exec://":                          "whole path of a script",
		"exec:///srv/api/control?status=1": "takes no parameters",
		"compose://api?%zz":                "cannot be read",
		"exec://%zz":                       "not a URL",
	} {
		var a service.Address
		err := a.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(task.HintOf(err), "systemd://UNIT") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestAStepWithoutAServiceOrAPageIsRefused(t *testing.T) {
	t.Parallel()
	good := address(t, "systemd://api")
	for name, err := range map[string]error{
		"no service":     (&service.Stop{Timeout: 1}).Validate(),
		"no page":        (&service.Start{Service: good, Timeout: 1}).Validate(),
		"not a page":     (&service.Stop{Service: good, URL: "localhost", Timeout: 1}).Validate(),
		"no time":        (&service.Stop{Service: good}).Validate(),
		"no health page": (&service.Healthy{Timeout: 1}).Validate(),
		"negative time":  (&service.Healthy{URL: "http://localhost/health", Timeout: -time.Second}).Validate(),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCheckSaysWhatIsWrongWithAScript(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if err := stopOf(t, s).Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("a good script: %v", err)
	}
	s.write(t, "confused", "")
	if err := stopOf(t, s).Check(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(task.HintOf(err), "exit with 0") {
		t.Errorf("a status that is neither: %v", err)
	}
	plain := filepath.Join(s.dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		plain:             "cannot be executed",
		s.dir:             "cannot be executed",
		plain + "/absent": "find the service's script",
	} {
		stop := &service.Stop{Service: address(t, "exec://"+path), Timeout: time.Second}
		if err := stop.Check(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}
