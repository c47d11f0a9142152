package postgres

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// A recorded is a change as a line of the file has it.
type recorded struct {
	Table string          `json:"table"`
	Op    operation       `json:"op"`
	Key   json.RawMessage `json:"key"`
	Old   map[string]cell `json:"old"`
	New   map[string]cell `json:"new"`
	Was   int64           `json:"was"`
	Count int64           `json:"count"`

	at int64 // of the line in the file
}

// A cell is a value as COPY escapes it.
type cell []byte

// UnmarshalJSON reads a string, null, or an object with hexadecimal bytes.
func (c *cell) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*c = cell(`\N`)
		return nil
	}
	var value string
	if text[0] == '{' {
		var raw struct{ Hex string }
		if err := json.Unmarshal(text, &raw); err != nil {
			return err
		}
		decoded, err := hex.DecodeString(raw.Hex)
		if err != nil {
			return err
		}
		value = string(decoded)
	} else if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	*c = cell(escaper.Replace(value))
	return nil
}

// escaper does what unescape takes back.
var escaper = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// change turns a line into the change that was written.
func (c recorded) change(p *pair) rowChange {
	fields := func(values map[string]cell) [][]byte {
		if values == nil {
			return nil
		}
		list := make([][]byte, len(p.columns))
		for i, name := range p.columns {
			if value, ok := values[name]; ok {
				list[i] = value
			}
		}
		return list
	}
	return rowChange{pair: p, op: c.Op, old: fields(c.Old), new: fields(c.New), was: c.Was, count: c.Count}
}

// pass reads the file once, from where it was left, and applies it in batches.
func (r *replaying) pass(ctx context.Context, file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	from := bufio.NewReaderSize(file, 1<<16)
	first, err := from.ReadBytes('\n')
	if err != nil {
		return errors.New("it is no file of changes, or was cut off")
	}
	if err := r.header(ctx, first); err != nil {
		return err
	}
	at := max(r.state.Offset, int64(len(first)))
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return err
	}
	from.Reset(file)
	for {
		batch, end, err := r.read(from, at)
		if err != nil {
			return err
		}
		if end == at {
			return nil
		}
		if err := r.apply(ctx, batch); err != nil {
			return err
		}
		at = end
		r.state.Offset = at
		if err := r.save(); err != nil {
			return err
		}
		r.env.Progress(at, r.size, "bytes")
	}
}

// header reads the first line, and looks for its tables in the database.
func (r *replaying) header(ctx context.Context, line []byte) error {
	var h salvageHeader
	if err := json.Unmarshal(line, &h); err != nil || h.Format != salvageFormat {
		return task.Hint(fmt.Errorf("it does not begin with the format %q", salvageFormat), "name the first file of a postgres/salvage step")
	}
	list, err := relations(ctx, r.conn)
	if err != nil {
		return err
	}
	there := map[string]relation{}
	for _, t := range list {
		there[t.quoted] = t
	}
	r.tables = map[string]*pair{}
	for _, t := range h.Tables {
		live, ok := there[t.Table]
		if !ok {
			if r.chosen(t.Table) {
				return task.Hint(fmt.Errorf("the database has no table %s", t.Table), "choose others with tables")
			}
			continue
		}
		live.always = t.Always
		r.tables[t.Table] = &pair{kept: live, live: live, columns: t.Columns, key: t.Key, ignored: t.Ignored}
	}
	for _, name := range r.replay.Tables {
		if r.tables[name] == nil {
			return task.Hint(fmt.Errorf("the file knows no table %s", clip(name)), "write it as SCHEMA.TABLE, as the file's first line does")
		}
	}
	return r.visible(ctx)
}

// visible fails if rows of the chosen tables are hidden from this role.
func (r *replaying) visible(ctx context.Context) error {
	chosen := slices.DeleteFunc(slices.Collect(maps.Keys(r.tables)), func(table string) bool { return !r.chosen(table) })
	var hidden int
	var example, role string
	err := r.conn.QueryRow(ctx, `select count(*), coalesce(min(t), ''), quote_ident(current_user) from unnest($1::text[]) t where row_security_active(t)`,
		chosen).Scan(&hidden, &example, &role)
	if err != nil {
		return fmt.Errorf("look for row level security: %w", err)
	}
	if hidden > 0 {
		return task.Hint(fmt.Errorf("row level security hides rows of %d tables from %s, among them %s", hidden, role, example),
			"let it see them all with ALTER ROLE "+role+" BYPASSRLS, or replay as another role")
	}
	return nil
}

// batchBytes is how long the lines of a batch may be, but for the last one: they
// are in memory together, and the server takes no message longer than 1 GB.
const batchBytes = 16 << 20

// read takes the next lines of chosen tables, and returns where they end.
func (r *replaying) read(from *bufio.Reader, at int64) (batch []recorded, end int64, err error) {
	size := 0
	for end = at; len(batch) < r.replay.Batch && size < batchBytes; {
		line, err := from.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return batch, end, nil
		}
		if err != nil {
			return nil, end, fmt.Errorf("read the change at byte %d: %w", end, err)
		}
		c := recorded{at: end}
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, end, fmt.Errorf("read the change at byte %d: %w", end, err)
		}
		end += int64(len(line))
		switch {
		case r.chosen(c.Table):
			batch = append(batch, c)
			size += len(line)
		case r.state.Pass == 0:
			r.state.Skipped++
		}
	}
	return batch, end, nil
}
