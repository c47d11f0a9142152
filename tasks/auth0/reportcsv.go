package auth0

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// csvPath returns where the table of a report is.
func csvPath(report string) string { return strings.TrimSuffix(report, filepath.Ext(report)) + ".csv" }

// table writes the failures of this run that lasted to a CSV file, mode 0600, for
// those who work through them in a spreadsheet. The file is replaced at once.
func (r *report) table(path string, lasting map[string]reason) error {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the report's table: %w", err)
	}
	err = r.copyTo(csv.NewWriter(file), maps.Clone(lasting))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("write the report's table: %w", err)
	}
	return nil
}

// copyTo writes a row for each user in lasting, from the first line of this run
// that has the reason. It takes those that it has written out of lasting.
func (r *report) copyTo(w *csv.Writer, lasting map[string]reason) error {
	err := w.Write([]string{"row", "user_id", "kind", "reason", "detail", "do"})
	lines := bufio.NewReader(io.NewSectionReader(r.file, 0, 1<<62))
	for err == nil {
		var line []byte
		if line, err = lines.ReadBytes('\n'); err != nil {
			break
		}
		var f failure
		if json.Unmarshal(line, &f) != nil || f.Run != r.run || f.Reason == "" || lasting[f.Row] != f.Reason {
			continue
		}
		delete(lasting, f.Row)
		err = w.Write([]string{text(f.Row), text(f.User), f.Kind, string(f.Reason), f.Detail, f.Do})
	}
	w.Flush()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, w.Error())
}

// text keeps a spreadsheet from taking an id for a formula.
func text(id string) string {
	if strings.HasPrefix(id, "=") || strings.HasPrefix(id, "+") || strings.HasPrefix(id, "@") {
		return "'" + id
	}
	return id
}
