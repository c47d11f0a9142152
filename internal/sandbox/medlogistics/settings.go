package medlogistics

import (
	"fmt"
	"log/slog"
	"strconv"

	"github.com/medlogistics/phasegate/internal/redact"
)

// The environment variables in which the API gets its settings when it runs as
// a process of its own.
const (
	listenVariable   = "PHASEGATE_SANDBOX_API_LISTEN"
	databaseVariable = "PHASEGATE_SANDBOX_API_DATABASE_URL"
	domainVariable   = "PHASEGATE_SANDBOX_API_DOMAIN"
	audienceVariable = "PHASEGATE_SANDBOX_API_AUDIENCE"
	caFileVariable   = "PHASEGATE_SANDBOX_API_CA_FILE"
	ownerVariable    = "PHASEGATE_SANDBOX_API_OWNER"
	noticeVariable   = "PHASEGATE_SANDBOX_API_NOTICE"
)

// Environment returns the settings as NAME=value, for APIFromEnv. There is a
// secret among them.
func (a API) Environment() []string {
	return []string{
		listenVariable + "=" + a.Listen,
		databaseVariable + "=" + a.DatabaseURL.Reveal(),
		domainVariable + "=" + a.Domain,
		audienceVariable + "=" + a.Audience,
		caFileVariable + "=" + a.CAFile,
		ownerVariable + "=" + a.Owner,
		noticeVariable + "=" + strconv.Itoa(a.Notice),
	}
}

// APIFromEnv reads what Environment wrote. The API logs nothing until it is
// given another Log.
func APIFromEnv(lookup func(string) (string, bool)) (API, error) {
	a := API{Log: slog.New(slog.DiscardHandler)}
	var database, notice string
	for _, setting := range []struct {
		name     string
		value    *string
		required bool
	}{
		{listenVariable, &a.Listen, true},
		{databaseVariable, &database, true},
		{domainVariable, &a.Domain, true},
		{audienceVariable, &a.Audience, true},
		{caFileVariable, &a.CAFile, false},
		{ownerVariable, &a.Owner, false},
		{noticeVariable, &notice, false},
	} {
		*setting.value, _ = lookup(setting.name)
		if setting.required && *setting.value == "" {
			return API{}, fmt.Errorf("the sandbox API needs %s in its environment", setting.name)
		}
	}
	if notice != "" {
		looks, err := strconv.ParseUint(notice, 10, 16)
		if err != nil {
			return API{}, fmt.Errorf("%s: %w", noticeVariable, err)
		}
		a.Notice = int(looks)
	}
	a.DatabaseURL = redact.NewSecret(database)
	return a, nil
}
