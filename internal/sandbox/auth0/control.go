package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// A control is an operation of the control API, by which a test in another
// process steers the tenant. No fault and no limit applies to it, and it asks for
// no token.
type control struct {
	pattern string
	act     func(*Tenant, *http.Request) (any, error)
}

func controls() []control {
	return []control{
		{"GET /emulator/endpoints", func(*Tenant, *http.Request) (any, error) { return endpointNames(), nil }},
		{"GET /emulator/requests", func(t *Tenant, _ *http.Request) (any, error) { return t.Requests(), nil }},
		{"DELETE /emulator/requests", func(t *Tenant, _ *http.Request) (any, error) { t.ResetRequests(); return nil, nil }},
		{"GET /emulator/mails", func(t *Tenant, _ *http.Request) (any, error) { return t.Mails(), nil }},
		{"GET /emulator/faults", func(t *Tenant, _ *http.Request) (any, error) { return t.Faults(), nil }},
		{"POST /emulator/faults", (*Tenant).controlFault},
		{"DELETE /emulator/faults", func(t *Tenant, _ *http.Request) (any, error) { t.ClearFaults(); return nil, nil }},
		{"GET /emulator/limits", func(t *Tenant, _ *http.Request) (any, error) { return t.Limits(), nil }},
		{"PUT /emulator/limits", (*Tenant).controlLimits},
		{"GET /emulator/timing", func(t *Tenant, _ *http.Request) (any, error) { return t.Timing(), nil }},
		{"PATCH /emulator/timing", (*Tenant).controlTiming},
		{"GET /emulator/state", func(t *Tenant, _ *http.Request) (any, error) { return t.Dump(), nil }},
		{"PUT /emulator/state", (*Tenant).controlState},
		{"DELETE /emulator/state", func(t *Tenant, _ *http.Request) (any, error) { return nil, t.Reset() }},
	}
}

// serveControl adds the control API to what the tenant serves.
func (t *Tenant) serveControl() {
	for _, c := range controls() {
		t.mux.HandleFunc(c.pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, largestSeed)
			out, err := c.act(t, r)
			switch {
			case err != nil:
				write(w, answer(http.StatusBadRequest, document{"error": err.Error()}), nil)
			case out == nil:
				w.WriteHeader(http.StatusNoContent)
			default:
				write(w, answer(http.StatusOK, out), nil)
			}
		})
	}
	t.mux.HandleFunc("/emulator/", func(w http.ResponseWriter, r *http.Request) {
		names := []string{}
		for _, c := range controls() {
			names = append(names, c.pattern)
		}
		write(w, answer(http.StatusNotFound, document{
			"error": fmt.Sprintf("the control API has no %s %s", r.Method, r.URL.Path), "operations": names,
		}), nil)
	})
}

// largestSeed is the most that the control API reads, in bytes: some hundred
// thousand users.
const largestSeed = 256 << 20

func endpointNames() []string {
	names := []string{}
	for _, e := range endpoints() {
		if e.pattern != "/" {
			names = append(names, e.pattern)
		}
	}
	return names
}

// decode reads the body of a control request into a value. A property that it
// does not have is an error.
func decode(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read the body: there is more behind the object")
	}
	return nil
}

// controlFault is POST /emulator/faults.
func (t *Tenant) controlFault(r *http.Request) (any, error) {
	var f Fault
	if err := decode(r, &f); err != nil {
		return nil, err
	}
	if err := f.validate(); err != nil {
		return nil, err
	}
	t.Fault(f)
	return f, nil
}

// controlLimits is PUT /emulator/limits: a plan by its name, or the limits
// themselves.
func (t *Tenant) controlLimits(r *http.Request) (any, error) {
	var body struct {
		Plan *Plan `json:"plan"`
		Limits
	}
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Plan != nil {
		fixed := body.FixedWindow
		body.Limits = body.Plan.Limits()
		body.FixedWindow = fixed
	}
	t.SetLimits(body.Limits)
	return body.Limits, nil
}

// controlTiming is PATCH /emulator/timing: what it does not name stays.
func (t *Tenant) controlTiming(r *http.Request) (any, error) {
	timing := t.Timing()
	if err := decode(r, &timing); err != nil {
		return nil, err
	}
	t.SetTiming(timing)
	return timing, nil
}

// controlState is PUT /emulator/state.
func (t *Tenant) controlState(r *http.Request) (any, error) {
	seed, err := ReadSeed(r.Body)
	if err != nil {
		return nil, err
	}
	return nil, t.Replace(seed)
}
