package task

import (
	"strings"
	"testing"
)

func TestAURLIsThatOfAPage(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"http://localhost": true, "https://api.example.com:8443/health?x=1": true, "": true,
		"localhost:8000": false, "ftp://example.com/": false, "http://": false, "/health": false, "http://a b/": false,
		"https://user:hunter2@example.com/": false, "http://[::1": false,
	} {
		u := URL("before")
		err := u.UnmarshalText([]byte(text))
		if (err == nil) != ok || err == nil && string(u) != text || err != nil && u != "before" {
			t.Errorf("%q: got %q, %v", text, u, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || HintOf(err) == "") {
			t.Errorf("%q: %v, hint %q", text, err, HintOf(err))
		}
	}
}
