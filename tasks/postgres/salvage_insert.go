package postgres

import "fmt"

// In the file of SQL an insertion that is blocked is noted: by a row with its key
// or another unique value, which may go away with a later statement. Those are
// tried again at the end, and whatever is still noted then fails the whole.
const (
	sqlNotes = "create temporary table salvage_blocked (change text) on commit drop;\n\n"

	sqlTail = `
do $$
declare
	blocked text;
begin
	select string_agg(change, ', ') into blocked from (select change from pg_temp.salvage_blocked order by 1 limit 20) noted;
	if blocked is not null then
		raise exception 'rows that cannot be inserted, since others have their key or another unique value: %', blocked
			using hint = 'Nothing was changed. postgres/replay reports these and makes the other changes.';
	end if;
end $$;

commit;
`
)

// appendInsertion adds the insertion as a statement that notes it if neither the
// row could be inserted nor is there already.
func (c rowChange) appendInsertion(b []byte) []byte {
	return fmt.Appendf(b, "with made as (%s returning 1) insert into pg_temp.salvage_blocked select %s where not exists (select from made) and not (%s);\n",
		c.insertStatement(), c.note(), c.isThere())
}

// appendAgain adds a second attempt, if it is worth one: where the table has
// other unique values than its key, their rows may be gone by now.
func (c rowChange) appendAgain(b []byte) []byte {
	if !c.pair.live.rivals {
		return b
	}
	return fmt.Appendf(b, "with made as (%s returning 1) delete from pg_temp.salvage_blocked where change = %s and exists (select from made);\n",
		c.insertStatement(), c.note())
}

// insertStatement is the insertion, which does nothing if another row has the
// key or another unique value.
func (c rowChange) insertStatement() string {
	return "insert into " + c.pair.live.quoted + c.insertion() + " on conflict do nothing"
}

// isThere is the condition that an inserted row is there.
func (c rowChange) isThere() string {
	return fmt.Sprintf("exists (select from only %s where %s and %s)", c.pair.live.quoted, c.hasKey(c.new), c.same(c.pair.counted(), c.new))
}

// note names the row as SQL.
func (c rowChange) note() string {
	return literal(string(c.appendFields([]byte(c.pair.live.quoted+" "), c.new, c.pair.key)))
}
