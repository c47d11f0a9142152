package auth0_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// inCore are the families of which 95 % have to be answered alike, those that are
// not served counted.
var inCore = regexp.MustCompile(`^(users|users-by-email|roles|jobs|tickets|connections|clients|client-grants|resource-servers|actions)( |$)`)

// TestRecordedTrafficOfARealTenantIsAnsweredAlike plays the traffic that the SDK
// ships with its tests to the emulator, and compares status, keys and types.
// testdata/differences.txt lists what differs, each with the reason.
func TestRecordedTrafficOfARealTenantIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	known, all := readReasons(t, ""), recordings(t)
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
	var core tally
	for family, tally := range tallies {
		if inCore.MatchString(family) {
			core.add(*tally)
		}
	}
	t.Logf("%-32s %s", "users to tickets", core)
	if share := core.share(); share < 95 {
		t.Errorf("%.1f %% are answered alike, want 95 %%", share)
	}
	for _, endpoint := range slices.Sorted(maps.Keys(missing)) {
		t.Logf("not served: %d %s", missing[endpoint], endpoint)
	}
	for line, used := range known {
		if !used {
			t.Errorf("testdata/differences.txt: nothing differs like this any more: %s", line)
		}
	}
}

// timings are how long builds, deletions and jobs may have taken when something
// was recorded, which no recording says: the tenant is set to what fits best.
func timings(r recording) []auth0.Timing {
	const step = auth0.Duration(time.Second) // of the clock between two requests
	all := []auth0.Timing{{ActionBuild: step}}
	text := fmt.Sprint(r.Interactions)
	if strings.Contains(text, "/actions/actions") {
		all = append(all, auth0.Timing{}, auth0.Timing{ActionBuild: step / 2}, auth0.Timing{ActionBuild: 2 * step})
	}
	if strings.Contains(text, "deleted_at") {
		all = append(all, auth0.Timing{ConnectionDelete: 10 * step})
	}
	if strings.Contains(text, "/jobs/") {
		all = append(all, auth0.Timing{JobStart: 10 * step})
	}
	return all
}

// A played interaction is one with what differs in the tenant's answer.
type played struct {
	interaction
	n           int
	endpoint    string
	status      int
	body        []byte // of the tenant's answer
	differences []string
}

// replay plays one recording to a tenant of its own, by the timing that fits it
// best, and tallies the differences.
func replay(t *testing.T, r recording, known, seen map[string]bool, tallies map[string]*tally, missing map[string]int) {
	t.Helper()
	var best []played
	fewest := -1
	for _, timing := range timings(r) {
		all, count := play(t, r, timing), 0
		for _, p := range all {
			newer, _, _ := sorted(p.endpoint, shape(p.interaction), p.differences, nil, seen)
			count += len(p.differences) - newer
		}
		if fewest < 0 || count < fewest {
			best, fewest = all, count
		}
	}
	for _, p := range best {
		family := families.FindStringSubmatch(p.path())[1] + kind(p.interaction)
		if tallies[family] == nil {
			tallies[family] = &tally{}
		}
		if p.endpoint == "/" {
			tallies[family].unserved++
			missing[p.Request.Method+" "+anonymous(p.path())]++
			continue
		}
		newer, listed, unknown := sorted(p.endpoint, shape(p.interaction), p.differences, known, seen)
		for _, d := range unknown {
			t.Errorf("%s[%d] %s: %s", r.name, p.n, p.endpoint, d)
		}
		tallies[family].count(len(p.differences), newer, listed)
	}
}

// play plays one recording to a tenant of that timing.
func play(t *testing.T, r recording, timing auth0.Timing) []played {
	t.Helper()
	clock := time.Now()
	config := recordedTenant()
	config.Now = func() time.Time { return clock }
	tenant := auth0.NewTenant(config)
	tenant.SetTiming(timing)
	token := tenant.Token(auth0.ManagementScopes()...)
	furnish(t, tenant, token, r)
	names := map[string]string{}
	var all []played
	for n, i := range r.Interactions {
		if prerequisites.MatchString(i.path()) {
			status, body := send(tenant, token, i, names)
			compare(i, status, body, names)
		}
		if !families.MatchString(i.path()) {
			continue
		}
		clock = clock.Add(time.Second)
		tenant.ResetRequests()
		status, body := send(tenant, token, i, names)
		endpoint := slices.Collect(maps.Keys(tenant.Requests()))[0]
		p := played{interaction: i, n: n, endpoint: endpoint, status: status, body: body}
		if endpoint != "/" {
			p.endpoint += kind(i)
			p.differences = compare(i, status, redact(t, i, body), names)
		}
		all = append(all, p)
	}
	return all
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
		path = strings.ReplaceAll(path, url.PathEscape(recorded), url.PathEscape(names[recorded]))
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
