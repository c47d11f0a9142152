package task

import (
	"testing"
	"time"
)

func TestAgesAreWrittenInDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "0d": 0,
	} {
		var age Age
		if err := age.UnmarshalText([]byte(text)); err != nil || time.Duration(age) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(age), err)
		}
		var again Age
		if err := again.UnmarshalText([]byte(age.String())); err != nil || again != age {
			t.Errorf("%s is shown as %s: %v", text, age, err)
		}
	}
	if shown := Age(7 * 24 * time.Hour).String(); shown != "7d" {
		t.Errorf("a week is shown as %s", shown)
	}
	for _, text := range []string{"", "d", "7", "-1d", "1d-2h", "1d+2h", "1.5d", "2h1d", "7 d", "99999d", "1d2562047h"} {
		var age Age
		if err := age.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, age)
		}
	}
}
