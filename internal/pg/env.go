package pg

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgservicefile"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/redact"
)

// Env returns the PG* variables with which libpq's programs reach what dsn
// names, as our own sessions do. The password is among them, so that it is in no
// argument. PGTZ and the output settings in PGOPTIONS make what a program prints
// the same text that [Sum] reads; a database that is only to be read, by its settings,
// is restored all the same.
//
// What dsn leaves out is left out here too: libpq and the driver then take it
// from the same places, the environment first. Parameters that only the driver
// knows, such as the time zone in a URL, are dropped: libpq refuses them. So are
// a service and a numeric address that the environment names: for libpq they come
// before the variables here, and its programs would reach another database.
func Env(dsn redact.Secret) ([]string, error) {
	config, err := Parse(dsn)
	if err != nil {
		return nil, err
	}
	hosts, ports := addresses(config)
	env := []string{
		"PGHOST=" + hosts,
		"PGPORT=" + ports,
		"PGUSER=" + config.User,
		"PGPASSWORD=" + config.Password,
		"PGDATABASE=" + config.Database,
		"PGAPPNAME=" + application,
		"PGTZ=UTC",
		"PGOPTIONS=" + strings.TrimSpace(config.RuntimeParams["options"]+" -c bytea_output=hex -c default_transaction_read_only=off"),
		"PGSERVICE", "PGHOSTADDR",
	}
	given := settings(dsn.Reveal())
	for keyword, value := range service(given) {
		if _, there := given[keyword]; !there {
			given[keyword] = value
		}
	}
	for _, p := range libpqParameters {
		if value, ok := given[p.keyword]; ok {
			env = append(env, p.variable+"="+value)
		}
	}
	return env, nil
}

// libpqParameters are the parameters of a connection string that have to reach
// libpq as they were written: the driver keeps only what it made of them.
// https://www.postgresql.org/docs/current/libpq-envars.html
var libpqParameters = []struct{ keyword, variable string }{
	{"sslmode", "PGSSLMODE"},
	{"sslrootcert", "PGSSLROOTCERT"},
	{"sslcert", "PGSSLCERT"},
	{"sslkey", "PGSSLKEY"},
	{"sslcertmode", "PGSSLCERTMODE"},
	{"sslnegotiation", "PGSSLNEGOTIATION"},
	{"channel_binding", "PGCHANNELBINDING"},
	{"krbsrvname", "PGKRBSRVNAME"},
	{"target_session_attrs", "PGTARGETSESSIONATTRS"},
	{"connect_timeout", "PGCONNECT_TIMEOUT"},
}

// service returns the parameters of the service that a connection string or the
// environment names, from the file in which the driver has found it.
// https://www.postgresql.org/docs/current/libpq-pgservice.html
func service(given map[string]string) map[string]string {
	name := cmp.Or(given["service"], os.Getenv("PGSERVICE"))
	if name == "" {
		return nil
	}
	home, _ := os.UserHomeDir() // without one there is no file there
	path := cmp.Or(given["servicefile"], os.Getenv("PGSERVICEFILE"), filepath.Join(home, ".pg_service.conf"))
	file, err := pgservicefile.ReadServicefile(path)
	if err != nil {
		return nil
	}
	found, err := file.GetService(name)
	if err != nil {
		return nil
	}
	return found.Settings
}

// addresses lists the hosts and the ports of config as libpq wants them, each
// once: the driver has a fallback of its own for each way to encrypt.
func addresses(config *pgx.ConnConfig) (hosts, ports string) {
	type address struct {
		host string
		port uint16
	}
	list := []address{{config.Host, config.Port}}
	for _, f := range config.Fallbacks {
		if next := (address{f.Host, f.Port}); next != list[len(list)-1] {
			list = append(list, next)
		}
	}
	var h, p []string
	for _, a := range list {
		h = append(h, a.host)
		p = append(p, strconv.Itoa(int(a.port)))
	}
	return strings.Join(h, ","), strings.Join(p, ",")
}

// keywordValue finds one pair of a connection string of keywords and values.
var keywordValue = pattern.Lazy(`(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)`)

// settings returns the parameters that a connection string spells out. The
// driver has parsed it before, so that it is known to be well formed.
func settings(dsn string) map[string]string {
	given := map[string]string{}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		_, query, _ := strings.Cut(dsn, "?")
		for pair := range strings.SplitSeq(query, "&") {
			key, value, _ := strings.Cut(pair, "=")
			// Not a form's escaping: libpq and the driver leave a plus sign alone.
			if value, err := url.PathUnescape(value); err == nil {
				given[key] = value
			}
		}
		return given
	}
	for _, pair := range keywordValue().FindAllStringSubmatch(dsn, -1) {
		value := strings.TrimSuffix(strings.TrimPrefix(pair[2], "'"), "'")
		given[pair[1]] = unescape(value)
	}
	return given
}

// unescape takes the backslashes out that protect quotes and backslashes.
func unescape(value string) string {
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(value)
}
