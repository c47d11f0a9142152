package sqllint

import (
	"maps"
	"slices"
)

// A Rule is what is looked for, and why.
type Rule struct {
	Name   string
	Level  Level
	Reason string // what goes wrong
	Advice string // what to do instead
}

// Rules lists all rules by name.
func Rules() []Rule {
	var list []Rule
	for _, name := range slices.Sorted(maps.Keys(catalogue)) {
		list = append(list, *catalogue[name])
	}
	return list
}

var catalogue = index(
	locksRules,
	rewritesRules,
	lossesRules,
	breaksRules,
	transactionsRules,
	typesRules,
	syntaxRules,
	ignoresRules,
)

func index(groups ...[]Rule) map[string]*Rule {
	all := map[string]*Rule{}
	for _, group := range groups {
		for i := range group {
			all[group[i].Name] = &group[i]
		}
	}
	return all
}

// Locks and scans.
var locksRules = []Rule{
	{
		"require-concurrent-index-creation", Error,
		"CREATE INDEX keeps writers out of the table until the index is built",
		"create index concurrently, in a file of its own with -- atlas:txmode none",
	},
	{
		"require-concurrent-index-deletion", Error,
		"DROP INDEX waits for every query on the table and keeps all later ones waiting",
		"drop index concurrently, in a file of its own with -- atlas:txmode none",
	},
	{
		"require-concurrent-reindex", Error,
		"REINDEX keeps writers out of the table, and readers away from the index",
		"reindex concurrently, in a file of its own with -- atlas:txmode none",
	},
	{
		"require-concurrent-partition-detach", Error,
		"DETACH PARTITION locks the whole partitioned table",
		"detach partition ... concurrently, in a file of its own with -- atlas:txmode none",
	},
	{
		"require-concurrent-refresh", Error,
		"REFRESH MATERIALIZED VIEW keeps readers out until it is done",
		"refresh materialized view concurrently; it needs a unique index",
	},
	{
		"attach-partition-scan", Warning,
		"ATTACH PARTITION reads the whole new partition under a lock, unless a constraint shows that its rows fit",
		"add a CHECK constraint like the bounds before, NOT VALID and then validated, and drop it behind",
	},
	{
		"adding-foreign-key-constraint", Error,
		"a foreign key on an existing table reads all of it and keeps writers out of both tables meanwhile",
		"add the constraint NOT VALID, and VALIDATE it in a later migration; a column first without the reference",
	},
	{
		"constraint-missing-not-valid", Error,
		"a CHECK constraint on an existing table reads all of it and keeps everybody out meanwhile",
		"add it NOT VALID, and VALIDATE it in a later migration",
	},
	{
		"validate-in-same-transaction", Error,
		"the lock under which the constraint was added is held while the table is read",
		"validate in a later migration",
	},
	{
		"disallowed-unique-constraint", Error,
		"a UNIQUE constraint builds its index while everybody is kept out of the table",
		"create unique index concurrently, then add constraint ... unique using index",
	},
	{
		"adding-primary-key-constraint", Error,
		"a PRIMARY KEY builds its index, and sets its columns NOT NULL, while everybody is kept out of the table",
		"create unique index concurrently, set the columns NOT NULL, then add constraint ... primary key using index",
	},
	{
		"adding-exclusion-constraint", Error,
		"an EXCLUDE constraint builds its index while everybody is kept out of the table, and there is no other way to make one",
		"add it while the table is small, or in a maintenance window after a rehearsal",
	},
	{
		"adding-required-field", Error,
		"a column that demands a value and has no default fails on a table with rows",
		"add it nullable, fill it in batches, then set NOT NULL; or give it a constant default",
	},
	{
		"adding-not-nullable-field", Error,
		"SET NOT NULL reads the whole table while everybody is kept out of it",
		"add constraint ... check (column is not null) not valid; validate it in a later migration; then set not null, which believes it; then drop it",
	},
	{
		"unique-index-may-fail", Warning,
		"equal values in the rows that are there make the index fail, and, concurrently, leave an invalid one",
		"look for equal values first: schema/rehearse does on a copy; schema/apply drops an invalid index and makes it again",
	},
	{
		"ban-alter-domain-with-add-constraint", Error,
		"a constraint on a domain reads every table that uses it, under locks",
		"add the constraint to each table, NOT VALID, and validate it later",
	},
	{
		"several-tables-locked", Warning,
		"the first table stays locked while the others are waited for: the application may be locked in the other order",
		"one table a migration",
	},
	{
		"lock-table", Error,
		"LOCK TABLE keeps others out until the transaction ends",
		"leave it out: each statement takes the lock that it needs",
	},
	{
		"ban-disable-trigger", Error,
		"with its triggers off, a table takes rows that break its rules, foreign keys included",
		"leave them on; for one session, set local session_replication_role = replica",
	},
}

// Rewrites.
var rewritesRules = []Rule{
	{
		"adding-field-with-default", Error,
		"a default that is not constant makes PostgreSQL write the whole table anew while everybody is kept out",
		"add the column without it, set the default, and fill in the old rows in batches",
	},
	{
		"adding-generated-column", Error,
		"a stored generated column makes PostgreSQL write the whole table anew while everybody is kept out",
		"add a plain column, keep it up by a trigger, and fill in the old rows in batches",
	},
	{
		"adding-identity-column", Error,
		"a serial or identity column makes PostgreSQL write the whole table anew while everybody is kept out",
		"add a plain bigint column, fill it in batches, then attach a sequence as its default",
	},
	{
		"changing-column-type", Error,
		"another type makes PostgreSQL write the table and its indexes anew, or at least read all of it, while everybody is kept out; programs may not expect it",
		"add a column of the new type, fill it by a trigger and in batches, and move the programs over",
	},
	{
		"table-rewrite", Error,
		"the whole table is written anew while everybody is kept out",
		"do it in a maintenance window after a rehearsal, or by pg_repack",
	},
}

// Data that goes.
var lossesRules = []Rule{
	{
		"ban-drop-column", Error,
		"the column's data goes, and programs that still name it break",
		"deploy programs that do not use it first; then drop it with a reason here",
	},
	{
		"ban-drop-table", Error,
		"the table's data goes, and programs that still name it break",
		"deploy programs that do not use it first; rename it for a while; then drop it with a reason here",
	},
	{
		"ban-drop-schema", Error,
		"everything in the schema goes",
		"drop its objects one by one, with a reason each",
	},
	{
		"ban-drop-database", Error,
		"everything goes, and no transaction takes it back",
		"never do it in a migration",
	},
	{
		"ban-drop-owned", Error,
		"every table, view and function of the role goes, whichever they are when it is run, and its privileges on other things",
		"drop what is meant by name, with a reason each",
	},
	{
		"ban-drop-cascade", Error,
		"CASCADE takes along what is not named here",
		"drop what depends on it by name",
	},
	{
		"ban-truncate", Error,
		"every row of the table goes, and everybody is kept out of it meanwhile",
		"delete in batches; a truncate needs a reason here",
	},
	{
		"ban-truncate-cascade", Error,
		"the rows of every table that refers to this one go too",
		"name the tables, or delete in batches",
	},
	{
		"ban-drop-constraint", Warning,
		"what the constraint has kept out of the table can come in from now on",
		"see that the application checks it, or that another constraint does",
	},
	{
		"ban-drop-not-null", Warning,
		"programs that read the column may not expect a null",
		"deploy programs that do first",
	},
}

// Programs that break.
var breaksRules = []Rule{
	{
		"renaming-column", Error,
		"programs that use the old name break at this moment",
		"add a new column, write both, move the programs over, and drop the old one later",
	},
	{
		"renaming-table", Error,
		"programs that use the old name break at this moment",
		"make a view under the other name in the same transaction, and move the programs over",
	},
	{
		"renaming-schema", Error,
		"programs that use the old name break at this moment",
		"make a new schema with views, and move the programs over",
	},
	{
		"renaming-enum-value", Error,
		"programs that write or compare the old value break at this moment",
		"add the new value, move the programs over, and update the rows",
	},
	{
		"require-enum-value-ordering", Warning,
		"a value added at the end changes what greatest and order by mean",
		"say BEFORE or AFTER which value",
	},
}
