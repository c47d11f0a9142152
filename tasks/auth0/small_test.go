package auth0

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

func TestTemporaryPasswordsMeetThePolicyExcellentAndNeverRepeat(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5000 {
		p := temporaryPassword().Reveal()
		var lower, upper, digit, sign bool
		for _, r := range p {
			lower, upper = lower || unicode.IsLower(r), upper || unicode.IsUpper(r)
			digit, sign = digit || unicode.IsDigit(r), sign || !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}
		if len(p) < 10 || len(p) > 72 || !lower || !upper || !digit || !sign || thrice(p) {
			t.Fatal("a password does not meet the policy")
		}
		if seen[p] {
			t.Fatal("a password came twice")
		}
		seen[p] = true
	}
}

func TestReportGoesOnWhereADeadProcessStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.ndjson")
	r, err := openReport(path)
	must(t, err)
	must(t, r.add(failure{Run: r.run, Row: "1"}))
	must(t, r.file.Close()) // as the kernel does for a process that is killed
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = torn.WriteString(`{"run":1,"row":"2","us`)
	must(t, err)
	must(t, torn.Close())
	r, err = openReport(path)
	must(t, err)
	if r.run != 2 {
		t.Errorf("this is run %d, want 2", r.run)
	}
	must(t, r.add(failure{Run: r.run, Row: "3"}))
	_, err = r.end(Imported{Created: 7})
	must(t, err)
	data, err := os.ReadFile(path)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 6 || lines[2] != `{"run":1,"row":"2","us` || !strings.Contains(lines[4], `"row":"3"`) || !strings.Contains(lines[5], `"created":7`) {
		t.Errorf("the report is\n%s", data)
	}
}

func TestEveryPermanentReasonSaysMoreThanRunAgain(t *testing.T) {
	t.Parallel()
	for _, why := range []reason{
		noAddress, invalidAddress, twinAddress, foreignAccount, otherAddress, weakPassword,
		unmappedRole, badID, rowChanged, refused,
	} {
		if len(why.advice()) < len("run again: ") || why.transient() {
			t.Errorf("the advice for %s is %q", why, why.advice())
		}
	}
}

func TestRefusalsAreSortedByWhatTheTenantSays(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		status int
		why    reason
		all    bool
	}{
		`{"message":"The user already exists.","errorCode":"auth0_idp_error"}`:                                                                                         {409, foreignAccount, false},
		`{"message":"The tenant has multiple verified custom domains.","errorCode":"custom_domain_conflict"}`:                                                          {409, refused, true},
		`{"message":"PasswordStrengthError: Password is too weak"}`:                                                                                                    {400, weakPassword, false},
		`{"message":"PasswordDictionaryError: Password is too common"}`:                                                                                                {400, weakPassword, false},
		`{"message":"Payload validation error: 'Object didn't pass validation for format email: x' on property email (The user's email).","errorCode":"invalid_body"}`: {400, invalidAddress, false},
		`{"message":"Payload validation error: 'String is too long (301 chars), maximum 300' on property name.","errorCode":"invalid_body"}`:                           {400, refused, false},
		`{"message":"Connection is disabled."}`:                                                                                                                        {400, refused, true},
		`{"message":"Insufficient scope","errorCode":"insufficient_scope"}`:                                                                                            {403, refused, true},
		`<html>a proxy's page</html>`: {400, refused, false},
	} {
		why, all := whyRefused(readRefusal(want.status, []byte(body), true))
		if why != want.why || all != want.all {
			t.Errorf("%d %s: %s, all %v", want.status, body, why, all)
		}
	}
}

func TestARefusalAboutAUserDoesNotQuoteIt(t *testing.T) {
	t.Parallel()
	body := []byte(`{"message":"Object didn't pass validation for format email: anna@example","errorCode":"invalid_body"}`)
	if text := readRefusal(400, body, true).Error(); strings.Contains(text, "anna") || !strings.Contains(text, "invalid_body") {
		t.Error(text)
	}
	if text := readRefusal(400, body, false).Error(); !strings.Contains(text, "anna") {
		t.Error(text)
	}
}
