package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Assert asks the database one question and fails unless the answer is the
// expected one. The query runs in a read-only transaction that is rolled back.
// Ask for a number or a yes rather than for people's data: the answer is in the
// receipt, and in the error if it is not the expected one.
type Assert struct {
	// DSN is the connection string of the database.
	DSN redact.Secret `with:"dsn,required"`

	// Query is one SELECT.
	Query string `with:"query,required"`

	// Returns is the value that the query must return, in one row of one
	// column, as PostgreSQL prints it: 0, 12.50, doctor; true and false for a
	// boolean; NULL for the null value. Not compared if empty.
	Returns string `with:"returns"`

	// Rows is how many rows the query must return. Default -1, which is not
	// compared. Give it alone or beside returns.
	Rows int64 `with:"rows"`

	// Timeout is how long the query may take on the server. Default 1m.
	Timeout time.Duration `with:"timeout,limit"`
}

// An AssertReceipt is the answer.
type AssertReceipt struct {
	Value string `json:"value"` // first column of the first row as text, "" if there is no row
	Rows  int64  `json:"rows"`  // number of rows
}

// longestValue bounds the answer, in bytes: it goes into the journal.
const longestValue = 4096

// Validate fails if nothing is expected.
func (a *Assert) Validate() error {
	if strings.TrimSpace(a.Query) == "" {
		return errors.New("query is empty")
	}
	if a.Returns == "" && a.Rows < 0 {
		return task.Hint(errors.New("nothing is expected of the query, so that it could not fail"), "set returns or rows")
	}
	if a.Returns != "" && a.Rows >= 0 && a.Rows != 1 {
		return task.Hint(fmt.Errorf("returns wants one row, but rows wants %d", a.Rows), "leave one of the two out")
	}
	if a.Timeout <= 0 {
		return errors.New("timeout is not positive")
	}
	return nil
}

// Check has the server read the query without running it.
func (a *Assert) Check(ctx context.Context, _ *task.Env) error {
	return a.readOnly(ctx, func(conn *pgx.Conn) error {
		described, err := conn.Prepare(ctx, "", a.Query)
		if err != nil {
			// What the query names may be made by an earlier step of the plan.
			if undefined(err) {
				return nil
			}
			return fmt.Errorf("read the query: %w", err)
		}
		return a.fits(len(described.Fields))
	})
}

// Run asks the question.
func (a *Assert) Run(ctx context.Context, _ *task.Env) (AssertReceipt, error) {
	var receipt AssertReceipt
	err := a.readOnly(ctx, func(conn *pgx.Conn) (err error) {
		receipt, err = a.ask(ctx, conn)
		return err
	})
	if err != nil {
		return receipt, err
	}
	return receipt, a.judge(receipt)
}

// readOnly calls do in a read-only transaction.
func (a *Assert) readOnly(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pg.Connect(ctx, a.DSN)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	begin := fmt.Sprintf("begin read only; set local statement_timeout = %d", max(1, a.Timeout.Milliseconds()))
	if _, err := conn.Exec(ctx, begin); err != nil {
		return fmt.Errorf("begin a read-only transaction: %w", err)
	}
	return do(conn)
}

// ask runs the query by the extended protocol, which takes one statement only: a
// second one cannot end the read-only transaction.
func (a *Assert) ask(ctx context.Context, conn *pgx.Conn) (AssertReceipt, error) {
	var receipt AssertReceipt
	result := conn.PgConn().ExecParams(ctx, a.Query, nil, nil, nil, nil)
	for result.NextRow() {
		if receipt.Rows == 0 && len(result.Values()) > 0 {
			receipt.Value = text(result.FieldDescriptions()[0].DataTypeOID, result.Values()[0])
		}
		receipt.Rows++
	}
	if _, err := result.Close(); err != nil {
		return receipt, fmt.Errorf("run the query: %w", err)
	}
	if err := a.fits(len(result.FieldDescriptions())); err != nil {
		return receipt, err
	}
	if len(receipt.Value) > longestValue {
		size := len(receipt.Value)
		receipt.Value = ""
		return receipt, task.Hint(fmt.Errorf("the answer has %d bytes, more than %d", size, longestValue), "ask for a number or a yes")
	}
	return receipt, nil
}

// fits fails if a query of that many columns has no value to compare.
func (a *Assert) fits(columns int) error {
	if a.Returns != "" && columns != 1 || columns == 0 {
		return task.Hint(fmt.Errorf("the query returns %d columns, not one", columns), "select one column")
	}
	return nil
}

func (a *Assert) judge(seen AssertReceipt) error {
	if a.Rows >= 0 && seen.Rows != a.Rows {
		return fmt.Errorf("expected %s, but the query returned %d", rows(a.Rows), seen.Rows)
	}
	if a.Returns == "" {
		return nil
	}
	if seen.Rows != 1 {
		return fmt.Errorf("expected one row with %q, but the query returned %s", a.Returns, rows(seen.Rows))
	}
	if seen.Value != a.Returns {
		return fmt.Errorf("expected %q, but the query returned %q", a.Returns, clip(seen.Value))
	}
	return nil
}

func rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return strconv.FormatInt(n, 10) + " rows"
}

// text is a value as PostgreSQL prints it when it is cast to text.
func text(oid uint32, value []byte) string {
	switch {
	case value == nil:
		return "NULL"
	case oid == pgtype.BoolOID && string(value) == "t":
		return "true"
	case oid == pgtype.BoolOID:
		return "false"
	}
	return string(value)
}

// clip keeps an error readable.
func clip(value string) string {
	const limit = 200
	if len(value) <= limit {
		return value
	}
	cut := limit
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut] + "..."
}
