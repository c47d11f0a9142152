package ci

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// An Identity is what GitHub says of the job in its identity token: signed
// evidence that the job ran, and, by Environment, that it passed the environment's
// rules. It does not say who approved.
// https://docs.github.com/actions/reference/openid-connect-reference
type Identity struct {
	Actor             string `json:"actor"`
	Environment       string `json:"environment,omitempty"`
	Repository        string `json:"repository"`
	RepositoryID      string `json:"repository_id"`
	RunID             string `json:"run_id"`
	RunNumber         string `json:"run_number"`
	RunAttempt        string `json:"run_attempt"`
	WorkflowRef       string `json:"job_workflow_ref"`
	WorkflowSHA       string `json:"job_workflow_sha"`
	Ref               string `json:"ref"`
	SHA               string `json:"sha"`
	EventName         string `json:"event_name"`
	RunnerEnvironment string `json:"runner_environment"`
	CheckRunID        string `json:"check_run_id,omitempty"`
}

// Identity returns what GitHub says of the job, and whether the job may ask: it
// needs the permission id-token: write.
func (j *Job) Identity(ctx context.Context) (Identity, bool, error) {
	if j.oidcURL == "" || j.oidcToken.IsZero() {
		return Identity{}, false, nil
	}
	token, err := j.identityToken(ctx)
	if err != nil {
		return Identity{}, false, fmt.Errorf("ask for the job's identity token: %w", err)
	}
	j.Mask(token)
	claims, err := claimsOf(token)
	return claims, err == nil, err
}

func (j *Job) identityToken(ctx context.Context) (string, error) {
	address, err := url.Parse(j.oidcURL)
	if err != nil {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL")
	}
	query := address.Query()
	query.Set("audience", "phasegate")
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+j.oidcToken.Reveal())
	response, err := j.github.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GitHub answers with status %d", response.StatusCode)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer); err != nil {
		return "", fmt.Errorf("read GitHub's answer: %w", err)
	}
	return answer.Value, nil
}

// claimsOf reads the claims. It does not verify them: the token came from GitHub
// over TLS, and what is kept of it is evidence of what was seen.
func claimsOf(token string) (Identity, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Identity{}, errors.New("the job's identity token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Identity{}, errors.New("the claims of the job's identity token cannot be decoded")
	}
	var claims Identity
	if err := json.Unmarshal(payload, &claims); err != nil {
		return Identity{}, fmt.Errorf("read the claims of the job's identity token: %w", err)
	}
	return claims, nil
}
