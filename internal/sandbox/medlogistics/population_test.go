package medlogistics

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

func connect(t testing.TB, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func value(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	var v string
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	return v
}

// contents returns the number of rows and a checksum of every table.
func contents(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	var all string
	for _, table := range []string{"users", "drugs", "drug_transfers", "medication_orders", "medication_administrations"} {
		all += table + " " + value(t, conn, `select count(*) || ' ' || coalesce(md5(string_agg(t::text, e'\n' order by id)), '') from `+table+" t") + "\n"
	}
	return all
}

func seeded(t testing.TB, p Population) (*pgx.Conn, redact.Secret) {
	t.Helper()
	dsn := postgrestest.Database(t)
	if err := p.Seed(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	return connect(t, dsn), dsn
}

func TestTwoSeedingsAreEqual(t *testing.T) {
	t.Parallel()
	a, _ := seeded(t, Population{Users: 500})
	b, _ := seeded(t, Population{Users: 500})
	if a, b := contents(t, a), contents(t, b); a != b {
		t.Errorf("first:\n%ssecond:\n%s", a, b)
	}
}

func TestASeedingHasOrdersInProportionAndEveryReferenceHolds(t *testing.T) {
	t.Parallel()
	conn, _ := seeded(t, Population{Users: 500})
	for sql, want := range map[string]string{
		"select count(*) from users": "500",
		"select count(*) from drugs": "500",
		"select count(*) from drug_transfers join drugs d on d.id = drug_id join users u on u.id = pharmacist_id and role = 'pharmacist'":                "100",
		"select count(*) from medication_orders join drugs d on d.id = drug_id join users u on u.id = doctor_id and role = 'doctor'":                     "500",
		"select count(*) from medication_administrations join medication_orders o on o.id = order_id join users u on u.id = nurse_id and role = 'nurse'": "1000",
		"select count(distinct api_key) from users":                                              "500",
		"select count(distinct role) from users":                                                 "3",
		"select count(distinct status) from medication_orders":                                   "3",
		"select count(*) from users where hashed_password !~ '^\\$2b\\$10\\$[./A-Za-z0-9]{53}$'": "0",
	} {
		if got := value(t, conn, "select ("+sql+")::text"); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestPeopleAreOfEveryAwkwardKind(t *testing.T) {
	t.Parallel()
	conn, _ := seeded(t, Population{Users: 500})
	for kind, where := range map[string]string{
		"plus sign":         `email like '%+%'`,
		"capitals":          `email <> lower(email)`,
		"apostrophe":        `email like '%''%' and full_name like '%''%'`,
		"non-ASCII address": `email ~ '[^\x01-\x7f]'`,
		"non-ASCII name":    `full_name ~ '[^\x01-\x7f]'`,
		"long name":         `length(full_name) between 250 and 300`,
		"long local part":   `length(split_part(email, '@', 1)) between 60 and 64`,
		"long address":      `length(email) between 200 and 254`,
		"no name":           `full_name is null`,
		"line break":        `full_name like e'%\n%'`,
		"inactive":          `not is_active`,
	} {
		if value(t, conn, "select count(*)::text from users where "+where) == "0" {
			t.Errorf("nobody with: %s", kind)
		}
	}
	if got := value(t, conn, "select count(*)::text from users where email !~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'"); got != "0" {
		t.Errorf("%s addresses are invalid", got)
	}
	if got := value(t, conn, "select count(distinct lower(email))::text from users"); got != "500" {
		t.Errorf("%s addresses of 500 differ beyond case", got)
	}
}

func TestThoseWhomNoTenantTakesAreThereOnRequest(t *testing.T) {
	t.Parallel()
	p := Population{Users: 30, Unmigratable: true}
	conn, _ := seeded(t, p)
	if got := value(t, conn, "select count(*)::text from users"); got != "30" {
		t.Errorf("%s users", got)
	}
	invalid := value(t, conn, "select count(*)::text from users where email not like '%_@_%'")
	twins := value(t, conn, "select (count(*) - count(distinct lower(email)))::text from users")
	if invalid != "1" || twins != "1" || p.Refused() != 2 {
		t.Errorf("%s invalid, %s twins, %d refused", invalid, twins, p.Refused())
	}
}

func TestAUserOfThePopulationIsTheOneInTheDatabase(t *testing.T) {
	t.Parallel()
	p := Population{Users: 60}
	conn, _ := seeded(t, p)
	for i := range p.Users {
		want := p.User(i)
		var got User
		err := conn.QueryRow(t.Context(), `
			select id::text, email, hashed_password, api_key, role::text, coalesce(full_name, ''), is_active
			  from users where id = $1`, want.ID,
		).Scan(&got.ID, &got.Email, &got.HashedPassword, &got.APIKey, &got.Role, &got.FullName, &got.Active)
		if err != nil || got != want {
			t.Errorf("user %d: %v\n%+v\n%+v", i, err, got, want)
		}
	}
}

func TestAFewUsersOrNoneCanBeSeeded(t *testing.T) {
	t.Parallel()
	for _, users := range []int{0, 1, 3, 9, 10, 11} {
		conn, _ := seeded(t, Population{Users: users})
		if got := value(t, conn, "select count(*)::text from users"); got != strconv.Itoa(users) {
			t.Errorf("%s users instead of %d", got, users)
		}
	}
}

func TestASeedingThatFailsLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	conn, dsn := seeded(t, Population{Users: 12})
	before := contents(t, conn)
	if err := Seed(t.Context(), dsn, 12); err == nil {
		t.Error("a second seeding succeeded")
	}
	if after := contents(t, conn); after != before {
		t.Errorf("changed:\n%s%s", before, after)
	}
}

func TestSeedingSpeed(t *testing.T) {
	sizes := []int{500}
	if os.Getenv("PHASEGATE_SOAK") != "" {
		sizes = append(sizes, 100_000, 1_000_000)
	}
	for _, users := range sizes {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			dsn := postgrestest.Database(t)
			began := time.Now()
			if err := Seed(t.Context(), dsn, users); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d users in %v", users, time.Since(began))
		})
	}
}
