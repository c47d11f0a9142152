package schema_test

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestWhatDependsIsNamedAndCascadeIsNotAdvised(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sql, code, want string }{
		{"drop table wards;\n", "SQLSTATE 2BP01", "view v depends on table wards; view w depends on view v"},
		{"alter table wards drop column id;\n", "SQLSTATE 2BP01", "view v depends on column id of table wards"},
		{"alter table wards alter column id type bigint;\n", "SQLSTATE 0A000", `rule _RETURN on view v depends on column "id"`},
	} {
		dsn := postgrestest.Database(t)
		dir := write(t, "1_wards.sql", "create table wards (id int);\ncreate view v as select id from wards;\ncreate view w as select id from v;\n", "2_bad.sql", c.sql)
		_, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
		fails(t, err, "2_bad.sql:1", c.code)
		if hint := task.HintOf(err); !strings.Contains(hint, c.want) || strings.Contains(strings.ToLower(hint), "cascade") {
			t.Errorf("hint %q, want %q", hint, c.want)
		}
	}
}
