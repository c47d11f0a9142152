package auth0

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// customClaims are what Actions add to the tokens of a login.
type customClaims struct{ access, id map[string]any }

var (
	setClaim   = pattern.Lazy(`api\.(accessToken|idToken)\.setCustomClaim\(\s*([^,]+?)\s*,\s*([^;]*?)\s*\)\s*(?:;|\n|$)`)
	constants  = pattern.Lazy(`(?:const|let|var)\s+(\w+)\s*=\s*([^;\n]+)`)
	substitute = pattern.Lazy(`\$\{\s*(\w+)\s*\}`)
)

// runActions runs the post-login Actions that are bound, in their order.
//
// The tenant does not run JavaScript. It reads the calls of setCustomClaim out of
// the deployed code and knows the values that come from event.user,
// event.authorization.roles and event.client; a claim whose name or value it
// cannot work out is left out, as if the line were not there.
func (t *Tenant) runActions(u *user, clientID string, scopes []string) customClaims {
	out := customClaims{access: map[string]any{}, id: map[string]any{}}
	for _, b := range t.actions.bindings[postLogin] {
		if b.action.deployed == nil {
			continue
		}
		event := eventOf(u, clientID, scopes)
		script := newScript(b.action.deployed.code, event)
		maps.Copy(out.access, script.claims("accessToken"))
		maps.Copy(out.id, script.claims("idToken"))
	}
	return out
}

// eventOf returns what an Action sees, as far as it is modelled.
func eventOf(u *user, clientID string, scopes []string) document {
	person := toObject(u.view())
	for _, key := range []string{"app_metadata", "user_metadata"} {
		if person[key] == nil {
			person[key] = document{}
		}
	}
	roles := []any{}
	for _, name := range u.roleNames() {
		roles = append(roles, name)
	}
	return document{
		"user": person, "authorization": document{"roles": roles},
		"client": document{"client_id": clientID}, "transaction": document{"requested_scopes": scopes},
	}
}

// A script is the code of an Action with its named values.
type script struct {
	code  string
	named map[string]string // constant to expression
	event document
}

func newScript(code string, event document) script {
	s := script{code: code, named: map[string]string{}, event: event}
	for _, m := range constants().FindAllStringSubmatch(code, -1) {
		s.named[m[1]] = strings.TrimSpace(m[2])
	}
	return s
}

func (s script) claims(token string) map[string]any {
	out := map[string]any{}
	for _, m := range setClaim().FindAllStringSubmatch(s.code, -1) {
		if m[1] != token {
			continue
		}
		name, _ := s.value(m[2], 0).(string)
		if value := s.value(m[3], 0); name != "" && value != nil {
			out[name] = value
		}
	}
	return out
}

// deepestConstant ends the evaluation of constants that name each other.
const deepestConstant = 8

// value works out an expression, nil if that is beyond the tenant.
func (s script) value(expression string, depth int) any {
	expression = strings.TrimSpace(expression)
	if depth > deepestConstant || expression == "" {
		return nil
	}
	// "a || b" and "a ?? b" are a, unless there is no a.
	for _, operator := range []string{"||", "??"} {
		if left, right, ok := strings.Cut(expression, operator); ok {
			if value := s.value(left, depth+1); value != nil {
				return value
			}
			return s.value(right, depth+1)
		}
	}
	if left, right, ok := strings.Cut(expression, " + "); ok {
		a, ok1 := s.value(left, depth+1).(string)
		b, ok2 := s.value(right, depth+1).(string)
		if ok1 && ok2 {
			return a + b
		}
		return nil
	}
	return s.atom(expression, depth)
}

func (s script) atom(expression string, depth int) any {
	last := len(expression) - 1
	switch first := expression[0]; {
	case (first == '\'' || first == '"') && last > 0 && expression[last] == first:
		return expression[1:last]
	case first == '`' && last > 0 && expression[last] == '`':
		return substitute().ReplaceAllStringFunc(expression[1:last], func(m string) string {
			value, _ := s.value(substitute().FindStringSubmatch(m)[1], depth+1).(string)
			return value
		})
	}
	if rest, ok := strings.CutPrefix(strings.ReplaceAll(expression, "?.", "."), "event."); ok {
		return s.fromEvent(rest)
	}
	if named, ok := s.named[expression]; ok {
		return s.value(named, depth+1)
	}
	var literal any
	if json.Unmarshal([]byte(expression), &literal) == nil {
		return literal
	}
	return nil
}

func (s script) fromEvent(path string) any {
	var value any = s.event
	for key := range strings.SplitSeq(path, ".") {
		d, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = d[key]
	}
	return value
}
