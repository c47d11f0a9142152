package condition

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func compiled(t testing.TB, source string) *Expression {
	t.Helper()
	e, problems := Compile(source, receipts{})
	if problems != nil {
		t.Fatalf("%s: %+v", source, problems)
	}
	return e
}

func TestWhatNoReceiptCanChangeIsProven(t *testing.T) {
	t.Parallel()
	const never, always, open = "never", "always", "open"
	for source, want := range map[string]string{
		"steps.users.done && !steps.users.done":                                                 never,
		"not steps.users.done and steps.users.done == true":                                     never,
		"steps.users.failed == 0 && steps.users.failed > 0":                                     never,
		"steps.users.failed == 0 && steps.users.failed == 1":                                    never,
		"0 > steps.users.failed && steps.users.failed >= 0":                                     never,
		"steps.users.failed < -1 && steps.users.failed > -1.0":                                  never,
		`steps.users.domain == "a" && steps.users.domain == "b"`:                                never,
		`steps.users.domain == "a" && !(steps.users.domain in ["a", "b"])`:                      never,
		"steps.import-users.failed > 1 && !(steps.import-users.failed >= 1)":                    never,
		"steps.users.failed == steps.users.total && !(steps.users.failed == steps.users.total)": never,
		"(steps.users.failed == 0) == (steps.users.failed != 0)":                                never,
		"false && steps.users.done":                                                             never,

		"steps.users.done || !steps.users.done":                    always,
		"steps.users.failed >= 0 || steps.users.failed < 0":        always,
		`steps.users.domain != "a" || steps.users.domain in ["a"]`: always,
		"(steps.users.failed == 0) != (steps.users.failed != 0)":   always,
		"true || steps.users.done":                                 always,

		"steps.users.done": open,
		"steps.users.failed > 0 && steps.users.failed < 1":                                              open, // a number need not be whole
		"steps.users.failed == 0 && steps.import-users.failed > 0":                                      open,
		`steps.users.domain != "a" && steps.users.domain != "b"`:                                        open,
		`"wards" in steps.users.tables && !("users" in steps.users.tables)`:                             open,
		"steps.users.failed > 9007199254740992 && steps.users.failed < 9007199254740994":                open, // one more is between, and no number of 64 bits
		"steps.users.failed / steps.users.total == 1 || !(steps.users.failed / steps.users.total == 1)": open, // 0/0 closes it
		`steps.users.domain contains "a" && !(steps.users.domain startsWith "a")`:                       open,
		"steps.users.failed < steps.users.total && steps.users.failed > steps.users.total":              open, // beyond what is tried
	} {
		e := compiled(t, source)
		isNever := Never(e)
		isAlways := e.Always()
		if isNever != (want == never) || isAlways != (want == always) {
			t.Errorf("%s: never %t, always %t, want %s", source, isNever, isAlways, want)
		}
	}
}

func TestConditionsThatExcludeEachOtherAreProvenTogether(t *testing.T) {
	t.Parallel()
	none, some := compiled(t, "steps.users.failed == 0"), compiled(t, "steps.users.failed > 0 && steps.users.done")
	if !Never(none, some) {
		t.Error("none and some do not exclude each other")
	}
	if Never(none, compiled(t, "steps.import-users.failed > 0")) {
		t.Error("different steps exclude each other")
	}
}

func TestWhatIsTooLargeToSettleIsLeftOpen(t *testing.T) {
	t.Parallel()
	var parts []string
	for i := range 20 {
		parts = append(parts, fmt.Sprintf("steps.users.failed != %d && steps.users.total != %d", i, i))
	}
	if Never(compiled(t, strings.Join(parts, " && ")+" && steps.users.done && !steps.users.done")) {
		t.Error("more was looked at than is allowed")
	}
}

// No receipt makes hold what was proven never to, nor the contrary.
func FuzzSettle(f *testing.F) {
	f.Add("steps.users.failed == 0 && steps.users.done", 0.0, "a", true)
	f.Add(`steps.users.domain in ["a", "b"] || steps.users.failed < 1.5`, 1.0, "b", false)
	f.Add("(steps.users.done == (steps.users.total >= 3)) != steps.users.done", -3.0, "", true)
	f.Fuzz(func(t *testing.T, source string, number float64, text string, done bool) {
		e, problems := Compile(source, receipts{})
		if problems != nil {
			return
		}
		fields := map[string]any{
			"success_rate": number, "failed": int64(number), "total": number, "domain": text, "done": done, "tables": []string{text},
		}
		receipt, err := json.Marshal(fields)
		if err != nil {
			return
		}
		got := e.Evaluate(map[string]json.RawMessage{"users": receipt, "import-users": receipt})
		if got.Reason != "" {
			return
		}
		never, always := Never(e), e.Always()
		if never && got.Holds || always && !got.Holds {
			t.Errorf("%s: never %t, always %t, and with %s it says %t", source, never, always, receipt, got.Holds)
		}
	})
}
