package auth0

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// largestBody is the most that the tenant reads of a request, in bytes. Auth0
// documents 1 MB for a profile and 512,000 bytes for an import.
const largestBody = 2 << 20

// An endpoint is one operation of the tenant's API.
type endpoint struct {
	pattern string   // of http.ServeMux; also its name in Requests and in faults
	scopes  []string // of which a token needs one; none for an open endpoint
	body    *schema  // of a JSON body; nil if the endpoint takes none or reads it itself
	act     func(*Tenant, *call) reply
}

// A call is one request on its way through the tenant.
type call struct {
	*http.Request
	endpoint endpoint
	now      time.Time
	domain   string
	token    *accessToken
	effect   Effect         // the fault that the request met, for those that act later
	raw      []byte         // the body as it came
	fields   map[string]any // the body, where the endpoint has a schema
	list     []any          // the body, where that is an array
	query    url.Values
}

// A reply is what a request gets. A nil body is an empty one, a []byte goes out
// as it is, anything else as JSON.
type reply struct {
	status int
	body   any
	header http.Header

	// late makes the body after the tenant's state is let go, for answers that
	// take long.
	late func() any
}

// failure is the body of the Management API's errors.
type failure struct {
	Status     int                `json:"statusCode"`
	Error      string             `json:"error"`
	Message    string             `json:"message"`
	Attributes *failureAttributes `json:"attributes,omitempty"`
	Code       string             `json:"errorCode,omitempty"`
}

type failureAttributes struct {
	Error string `json:"error"`
}

// fail is the Management API's answer to a request that it does not serve.
func fail(status int, message, code string) reply {
	return reply{status: status, body: failure{
		Status: status, Error: http.StatusText(status), Message: message, Code: code,
	}}
}

func notFound(message, code string) reply { return fail(http.StatusNotFound, message, code) }

func badRequest(message, code string) reply { return fail(http.StatusBadRequest, message, code) }

func conflict(message, code string) reply { return fail(http.StatusConflict, message, code) }

func answer(status int, body any) reply { return reply{status: status, body: body} }

// empty is the answer of endpoints that recorded traffic shows with "{}".
func empty(status int) reply { return reply{status: status, body: struct{}{}} }

// serve puts an endpoint behind everything that stands before it: faults, the
// token, the limits, the scopes and the schema, in the order in which the real
// API complains about them.
func (t *Tenant) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		effect := t.takeFault(e.pattern)
		if effect != "" {
			effect.before(t, e, r)
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, largestBody+1))
		if err != nil {
			// The client broke off; nobody reads an answer.
			t.count(e.pattern, 0)
			panic(http.ErrAbortHandler)
		}
		c := &call{Request: r, endpoint: e, raw: body, effect: effect, query: r.URL.Query()}
		out, header, done := effect.instead(t, e.pattern)
		if !done {
			out, header = t.handle(c)
		}
		effect.after(t, e, r)
		t.count(e.pattern, out.status)
		w.Header().Set("Date", t.now().UTC().Format(http.TimeFormat))
		write(w, out, header)
	})
}

// handle runs a request that no fault has kept away.
func (t *Tenant) handle(c *call) (reply, http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.now, c.domain = t.now(), t.domain
	if c.domain == "" {
		c.domain = c.Host
	}
	t.settle(c.now)
	if len(c.raw) > largestBody {
		return fail(http.StatusRequestEntityTooLarge, "Payload content length greater than maximum allowed: 1048576", ""), nil
	}
	if refused, ok := t.authenticate(c); !ok {
		return refused, nil
	}
	header, refused, ok := t.throttle.admit(c)
	if !ok {
		return refused, header
	}
	if refused, ok := c.authorize(); !ok {
		return refused, header
	}
	if refused, ok := c.parse(); !ok {
		return refused, header
	}
	t.lag = c.effect.duration(searchLateVerb)
	defer func() { t.lag = 0 }()
	return encode(c.endpoint.act(t, c)), header
}

// encode turns the body into bytes while the state that it may point into is
// still guarded.
func encode(out reply) reply {
	if out.body == nil {
		return out
	}
	if _, ok := out.body.([]byte); ok {
		return out
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out.body); err != nil {
		panic(err) // every body is made of plain data here
	}
	out.body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return out
}

func write(w http.ResponseWriter, out reply, header http.Header) {
	for _, from := range []http.Header{header, out.header} {
		maps.Copy(w.Header(), from)
	}
	if out.late != nil {
		out.body = out.late()
	}
	body, _ := encode(out).body.([]byte)
	if body != nil && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(body) // a client that is gone is no error of the tenant
}

// parse reads the JSON body by the endpoint's schema.
func (c *call) parse() (reply, bool) {
	if c.endpoint.body == nil {
		return reply{}, true
	}
	decoder := json.NewDecoder(bytes.NewReader(c.raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil && !errors.Is(err, io.EOF) {
		return badRequest("Invalid request payload JSON format", ""), false
	}
	if value == nil {
		value = map[string]any{}
	}
	if problem := c.endpoint.body.check(value); problem != nil {
		return badRequest("Payload validation error: "+problem.String(), "invalid_body"), false
	}
	c.fields, _ = value.(map[string]any)
	c.list, _ = value.([]any)
	return reply{}, true
}

// text returns a string of the body, "" if it is not there.
func (c *call) text(key string) string {
	s, _ := c.fields[key].(string)
	return s
}

// flag returns a boolean of the body, false if it is not there.
func (c *call) flag(key string) bool {
	b, _ := c.fields[key].(bool)
	return b
}

// texts returns the strings of an array of the body.
func (c *call) texts(key string) []string { return textsOf(c.fields[key]) }

func textsOf(value any) []string {
	list, _ := value.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// bearer returns the token of the Authorization header.
func (c *call) bearer() string {
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
