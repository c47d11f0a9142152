package condition

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// receipts is a scope of two steps and one that is wrong itself.
type receipts struct{}

func (receipts) Receipt(step string) (map[string]Kind, *Problem) {
	switch step {
	case "users":
		return map[string]Kind{
			"success_rate": Number, "failed": Number, "total": Number, "domain": Text, "done": Bool,
			"tables": ListOf(Text), "counts": ListOf(Number), "detail": Other,
		}, nil
	case "import-users":
		return map[string]Kind{"failed": Number}, nil
	case "broken":
		return nil, nil
	}
	return nil, &Problem{Message: fmt.Sprintf("step %q does not exist", step)}
}

func TestConditionHolds(t *testing.T) {
	t.Parallel()
	values := map[string]json.RawMessage{
		"users": json.RawMessage(`{"success_rate": 1, "failed": 0, "total": 500, "domain": "eu.auth0.com", "done": true,
			"tables": ["users", "wards"], "counts": [1], "detail": {}}`),
		"import-users": json.RawMessage(`{"failed": 9007199254740993}`),
	}
	for source, want := range map[string]bool{
		"steps.users.success_rate == 1 && steps.users.failed == 0":              true,
		"steps.users.success_rate == 1.0":                                       true,
		"steps.users.success_rate < 1":                                          false,
		"not steps.users.done or steps.users.failed > 0":                        false,
		"!(steps.users.failed > 0) and steps.users.done":                        true,
		"steps.users.failed / steps.users.total <= 0.01":                        true,
		"steps.users.total - 1 == 499":                                          true,
		"-steps.users.total == -500":                                            true,
		`steps.users.domain endsWith ".auth0.com"`:                              true,
		`steps.users.domain in ["eu.auth0.com", 'us.auth0.com']`:                true,
		`"wards" in steps.users.tables`:                                         true,
		`"drugs" in steps.users.tables`:                                         false,
		"steps.import-users.failed == 9007199254740993":                         true,
		"steps.import-users.failed == 9007199254740992":                         false,
		`steps["import-users"].failed > 0`:                                      true,
		"steps.users.done // it's a comment\n && steps.import-users.failed > 1": true,
		"/* it's */ steps.import-users.failed > 1":                              true,
		`steps.users.domain == "steps.import-users.failed"`:                     false,
		"0 < steps.users.total < 501":                                           true,
		"true":                                                                  true,
	} {
		e, problems := Compile(source, receipts{})
		if problems != nil {
			t.Errorf("%s: %+v", source, problems)
			continue
		}
		got := e.Evaluate(values)
		if got.Holds != want || got.Reason != "" || got.Source != source {
			t.Errorf("%s: got %+v, want %t", source, got, want)
		}
	}
}

func TestAMissingOrInfiniteValueNeverHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, receipt, reason string }{
		{"steps.users.failed == 0", ``, "step users left no receipt"},
		{"steps.users.failed == 0", `null`, "step users left no receipt"},
		{"steps.users.failed == 0", `{}`, "steps.users.failed is not there, or is not a number"},
		{"steps.users.failed != 1", `{"failed": null}`, "steps.users.failed is not there, or is not a number"},
		{"steps.users.failed != 1", `{"failed": "none"}`, "steps.users.failed is not there, or is not a number"},
		{"steps.users.failed != 1", `{"failed": 1e999}`, "steps.users.failed is not there, or is not a number"},
		{"true || steps.users.failed == 0", `{}`, "steps.users.failed is not there, or is not a number"},
		{"steps.users.failed / steps.users.total != 1", `{"failed": 0, "total": 0}`, "the arithmetic gives no finite number"},
		{"steps.users.failed * 1e300 > 1", `{"failed": 1e300}`, "the arithmetic gives no finite number"},
		{"!(steps.users.failed / 0 == 1)", `{"failed": 1}`, "the arithmetic gives no finite number"},
	} {
		e, problems := Compile(c.source, receipts{})
		if problems != nil {
			t.Fatalf("%s: %+v", c.source, problems)
		}
		got := e.Evaluate(map[string]json.RawMessage{"users": json.RawMessage(c.receipt)})
		if got.Holds || got.Reason != c.reason {
			t.Errorf("%s with %s: got %+v, want the reason %q", c.source, c.receipt, got, c.reason)
		}
	}
}

func TestAMistakeIsFoundAtItsPlace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000)
	for _, c := range []struct{ source, at, message string }{
		{"steps.users.faild == 0", "faild", `the receipt of step "users" has no field "faild"`},
		{"steps.import-users.faild == 0", "faild", `the receipt of step "import-users" has no field "faild"`},
		{"steps.usrs.failed == 0", "usrs", `step "usrs" does not exist`},
		{"steps.import-usrs.failed == 0", "import-usrs", `step "import-usrs" does not exist`},
		{"steps.users.failed", "failed", "the expression gives a number, not true or false"},
		{`steps.users.failed == "0"`, "==", "a number and text cannot be compared"},
		{`"é" == steps.users.failed`, "==", "text and a number cannot be compared"},
		{"steps.users.tables == steps.users.tables", "==", "a list of texts and a list of texts cannot be compared"},
		{"steps.users.done < true", "<", "true or false and true or false have no order"},
		{"steps.users.failed && true", "failed", "&& wants true or false on both sides, not a number"},
		{"steps.users.domain + 1 > 2", "domain", "+ wants a number on both sides, not text"},
		{"!steps.users.failed", "!", "! wants true or false, not a number"},
		{"steps.users.failed in [1, 2]", "1", "a list in a condition holds texts, not a number"},
		{"steps.users.failed in steps.users.counts", "in", "in wants text and a list of texts, not a number and a list of numbers"},
		{"steps.users.failed =", "=", `unexpected "="`},
		{"steps.users.failed = 0", "=", `unexpected "="`},
		{"steps.users.failed ==", "=", "the expression ends too early"},
		{"(steps.users.done", "e", "the expression ends too early"},
		{"steps.users.done)", ")", `unexpected ")"`},
		{"steps.users.domain == 'eu", "'eu", "a quote is not closed"},
		{"steps.users.failed @ 0", "@", "unexpected character '@'"},
		{"", "", "the expression ends too early"},
		{"env.X == 1", "env", `"env" means nothing here`},
		{"yes", "yes", `"yes" means nothing here`},
		{"steps", "steps", "steps needs a step's id and a field, as in steps.users.failed"},
		{"steps.users", "users", "write steps.ID.FIELD, as in steps.users.failed"},
		{"steps.users.detail.x == 1", "x", "a receipt's field has no further fields: write steps.ID.FIELD"},
		{"steps.users.tables[0] == \"users\"", "[", "write steps.ID.FIELD, as in steps.users.failed"},
		{"len(steps.users.tables) > 1", "len", "a condition has no functions"},
		{"all(steps.users.tables, true)", "all", "a condition has no functions"},
		{"steps.users.failed == nil", "nil", "nil has no place in a condition: a value that is missing never makes it hold"},
		{"(steps.users.failed ?? 0) == 0", "??", "a condition has no operator ??"},
		{"let x = 1; x == 1", "x", "a condition knows only comparisons, arithmetic, and, or, not, and in"},
		{"steps.users.done ? true : false", "done", "a condition has no branches: use and, or, not"},
		{"steps.users.domain matches '('", "matches", "a condition has no operator matches"},
		{"(1..9) == 1", "..", "a condition has no operator .."},
		{"99999999999999999999 > 1", "", "this number cannot be read"},
		{strings.Repeat("1 + ", 600) + "1 > 1", "", "the expression has more than 500 parts"},
		{long + long, "", "the expression is longer than 4 KiB"},
		{"steps.broken.anything", "", ""},
	} {
		_, problems := Compile(c.source, receipts{})
		if c.message == "" {
			if problems != nil {
				t.Errorf("%s: %+v", c.source, problems)
			}
			continue
		}
		if len(problems) != 1 {
			t.Errorf("%.60s: got %+v, want one problem", c.source, problems)
			continue
		}
		p := problems[0]
		if p.Message != c.message {
			t.Errorf("%.60s: got %q, want %q", c.source, p.Message, c.message)
		}
		if p.Offset < 0 || p.Offset > len(c.source) || !strings.HasPrefix(c.source[p.Offset:], c.at) {
			t.Errorf("%.60s: the problem is at byte %d, want it at %q", c.source, p.Offset, c.at)
		}
	}
}

func TestStepsAreNamedOnce(t *testing.T) {
	t.Parallel()
	e, problems := Compile("steps.import-users.failed == 0 && steps.users.done && steps.users.failed == 0", receipts{})
	if problems != nil {
		t.Fatal(problems)
	}
	if got := e.Steps(); !slices.Equal(got, []string{"import-users", "users"}) {
		t.Errorf("got %q", got)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("steps.users.success_rate == 1 && steps.import-users.failed == 0")
	f.Add(`!(steps.users.domain in ["a", 'b'])`)
	f.Add("steps.users.failed / 0 >= 1e9 // it's")
	f.Fuzz(func(t *testing.T, source string) {
		e, problems := Compile(source, receipts{})
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > len(source) || p.Width < 1 || p.Message == "" {
				t.Errorf("%q: %+v", source, p)
			}
		}
		if (e == nil) == (len(problems) == 0) {
			t.Errorf("%q: an expression and problems, or neither", source)
		}
		if e != nil {
			e.Evaluate(map[string]json.RawMessage{"users": json.RawMessage(`{"failed": 1}`)})
		}
	})
}
