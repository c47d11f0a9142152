package auth0_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// TestRecordedTrafficOfARealTenantIsAnsweredAlike plays the traffic that the SDK
// ships with its tests to the emulator, and compares status, keys and types.
// testdata/differences.txt lists what differs, each with the reason.
func TestRecordedTrafficOfARealTenantIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	known, all := readDifferences(t), recordings(t)
	seen := properties(all)
	tallies, missing := map[string]*tally{}, map[string]int{}
	for _, r := range all {
		replay(t, r, known, seen, tallies, missing)
	}
	var sum tally
	for _, family := range slices.Sorted(maps.Keys(tallies)) {
		t.Logf("%-32s %s", family, tallies[family])
		sum.add(*tallies[family])
	}
	t.Logf("%-32s %s", "all", sum)
	for _, endpoint := range slices.Sorted(maps.Keys(missing)) {
		t.Logf("not served: %d %s", missing[endpoint], endpoint)
	}
	for line, used := range known {
		if !used {
			t.Errorf("testdata/differences.txt: nothing differs like this any more: %s", line)
		}
	}
}

// readDifferences reads lines of "METHOD /pattern: difference # reason".
func readDifferences(t *testing.T) map[string]bool {
	t.Helper()
	file, err := os.Open("testdata/differences.txt")
	must(t, err)
	defer file.Close()
	known := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		difference, reason, ok := strings.Cut(lines.Text(), " # ")
		switch {
		case lines.Text() == "" || strings.HasPrefix(lines.Text(), "#"):
		case !ok || reason == "":
			t.Errorf("testdata/differences.txt: no reason for %s", lines.Text())
		default:
			known[strings.TrimSpace(difference)] = false
		}
	}
	return known
}

// replay plays one recording to a tenant of its own.
func replay(t *testing.T, r recording, known, seen map[string]bool, tallies map[string]*tally, missing map[string]int) {
	t.Helper()
	clock := time.Now()
	config := recordedTenant()
	config.Now = func() time.Time { return clock }
	tenant := auth0.NewTenant(config)
	token := tenant.Token(auth0.ManagementScopes()...)
	furnish(t, tenant, token, r)
	names := map[string]string{}
	for n, i := range r.Interactions {
		if !families.MatchString(i.path()) {
			continue
		}
		clock = clock.Add(time.Second)
		tenant.ResetRequests()
		status, body := send(tenant, token, i, names)
		body = redact(t, i, body)
		endpoint := slices.Collect(maps.Keys(tenant.Requests()))[0]
		family := families.FindStringSubmatch(i.path())[1] + kind(i)
		if tallies[family] == nil {
			tallies[family] = &tally{}
		}
		tally := tallies[family]
		if endpoint == "/" {
			tally.unserved++
			missing[i.Request.Method+" "+anonymous(i.path())]++
			continue
		}
		endpoint += kind(i)
		differences := compare(i, status, body, names)
		newer, listed, unknown := sorted(endpoint, shape(i), differences, known, seen)
		for _, d := range unknown {
			t.Errorf("%s[%d] %s: %s", r.name, n, endpoint, d)
		}
		switch {
		case len(differences) == 0:
			tally.alike++
		case newer == len(differences):
			tally.newer++
		case listed+newer == len(differences):
			tally.known++
		default:
			tally.unknown++
		}
	}
}

// kind tells connections and applications apart of which the tenant knows more
// and less.
func kind(i interaction) string {
	var answer struct {
		Strategy    string
		AppType     string `json:"app_type"`
		Connections []struct{ Strategy string }
	}
	_ = json.Unmarshal([]byte(i.Response.Body), &answer) // not every answer is an object
	if len(answer.Connections) > 0 {
		answer.Strategy = answer.Connections[0].Strategy
	}
	switch {
	case strings.Contains(i.path(), "/connections") && answer.Strategy != "" && answer.Strategy != "auth0":
		return " of another strategy"
	case answer.AppType == "express_configuration" || answer.AppType == "resource_server":
		return " of type " + answer.AppType
	}
	return ""
}

// send makes a recorded request with the ids that the tenant gave instead of
// the recorded ones.
func send(tenant *auth0.Tenant, token string, i interaction, names map[string]string) (int, []byte) {
	path, body := i.path(), i.Request.Body
	for _, recorded := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(b) - len(a) }) {
		path = strings.ReplaceAll(path, recorded, names[recorded])
		body = strings.ReplaceAll(body, recorded, names[recorded])
	}
	request := httptest.NewRequest(i.Request.Method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	maps.Copy(request.Header, i.Request.Headers)
	answer := httptest.NewRecorder()
	tenant.ServeHTTP(answer, request)
	return answer.Code, answer.Body.Bytes()
}

// sorted counts the differences that only stem from the age of a recording and
// those that are listed, and returns the others.
func sorted(endpoint, shape string, differences []string, known, seen map[string]bool) (newer, listed int, unknown []string) {
	for _, d := range differences {
		extra, isExtra := strings.CutSuffix(d, " is not in the recording")
		if isExtra && seen[shape+plain(extra)] {
			newer++
			continue
		}
		line := endpoint + ": " + d
		if _, ok := known[line]; !ok {
			line = endpoint + ": *"
		}
		if _, ok := known[line]; !ok {
			unknown = append(unknown, d)
			continue
		}
		known[line] = true
		listed++
	}
	return newer, listed, unknown
}
