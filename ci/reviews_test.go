package ci

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A GitHub that takes the call and never answers, or never ends its answer, is
// asked again, and closes the gate in the end: nobody waits for ever.
func TestAGitHubThatHangsIsAskedAgainAndThenGivenUp(t *testing.T) {
	t.Parallel()
	const approved = `[{"state":"approved","user":{"login":"bob","type":"User"},"environments":[{"name":"prod"}]}]`
	for _, c := range []struct {
		name   string
		hangs  int32 // so many times
		begins string
		asked  int32
		says   string
	}{
		{name: "once", hangs: 1, asked: 2},
		{name: "once, in mid-answer", hangs: 1, begins: approved[:20], asked: 2},
		{name: "always", hangs: reviewsTries + 1, asked: reviewsTries, says: "GitHub has not answered within 300ms, asked 4 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			end := make(chan struct{})
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) > c.hangs {
					_, _ = io.WriteString(w, approved)
					return
				}
				_, _ = io.WriteString(w, c.begins)
				_ = http.NewResponseController(w).Flush()
				<-end
			}))
			t.Cleanup(api.Close)
			t.Cleanup(func() { close(end) })
			environ := map[string]string{
				"GITHUB_REPOSITORY": "hospital/cutover", "GITHUB_RUN_ID": "777", "GITHUB_ACTOR": "alice",
				"GITHUB_API_URL": api.URL, "GITHUB_TOKEN": "t0ken",
			}
			j, err := FromEnvironment(func(name string) (string, bool) { v, ok := environ[name]; return v, ok }, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if j.github.Timeout <= 0 || j.github.Timeout > 15*time.Second {
				t.Errorf("an answer may take %s", j.github.Timeout)
			}
			j.github.Timeout = 300 * time.Millisecond
			reviews, err := j.Reviews(t.Context())
			if got := fmt.Sprint(err); c.says != "" && !strings.Contains(got, c.says) || c.says == "" && (err != nil || len(reviews) != 1) {
				t.Errorf("%d reviews, %v", len(reviews), err)
			}
			if n := asked.Load(); n != c.asked {
				t.Errorf("it was asked %d times, not %d", n, c.asked)
			}
		})
	}
}
