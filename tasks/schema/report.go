package schema

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// A report is what a rehearsal writes down.
type report struct {
	Migrations []migrationReport `json:"migrations"`
}

type migrationReport struct {
	Version     string            `json:"version"`
	Transaction bool              `json:"transaction"` // whether it is run in one; if not, each statement has its own locks
	Statements  []statementReport `json:"statements"`
	CommitMS    float64           `json:"commit_ms"`
	Error       string            `json:"error,omitempty"`
}

type statementReport struct {
	Place     string       `json:"place"` // file and line
	SQL       string       `json:"sql"`
	MS        float64      `json:"ms"`
	Locks     []lockReport `json:"locks"`     // that it was the first to take, on tables that were there before
	Rewritten []string     `json:"rewritten"` // tables that were there before and were written anew
}

type lockReport struct {
	Table string `json:"table"`
	Mode  string `json:"mode"` // as in pg_locks
}

func (s *statementReport) since(begin time.Time) { s.MS = milliseconds(begin) }

// milliseconds keeps three digits behind the point.
func milliseconds(begin time.Time) float64 {
	return float64(time.Since(begin).Microseconds()) / 1000
}

// modes are the lock modes from the weakest to the strongest:
// https://www.postgresql.org/docs/current/explicit-locking.html.
func modes() []string {
	return []string{
		"", "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock",
		"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
	}
}

// strength is a mode's place among the modes.
func strength(mode string) int { return max(0, slices.Index(modes(), mode)) }

// keepsWritersOut tells whether nobody else can write to a table that is locked
// like this.
func keepsWritersOut(mode string) bool { return strength(mode) >= strength("ShareLock") }

func (s statementReport) keepsWritersOut() bool {
	return slices.ContainsFunc(s.Locks, func(l lockReport) bool { return keepsWritersOut(l.Mode) })
}

// summarize fills in what the receipt tells of the statements.
func (r *report) summarize(receipt *Rehearsal) {
	var total, window, longest float64
	strongest := 0
	for _, m := range r.Migrations {
		if m.Error == "" {
			receipt.Migrations++
		}
		total += m.CommitMS
		window += m.window()
		for _, s := range m.Statements {
			receipt.Statements++
			receipt.Rewrites += len(s.Rewritten)
			total += s.MS
			if s.MS >= longest {
				longest, receipt.Longest = s.MS, s.Place
			}
			for _, lock := range s.Locks {
				strongest = max(strongest, strength(lock.Mode))
			}
		}
	}
	receipt.TotalMS, receipt.WindowMS, receipt.LongestMS = int64(total+0.5), int64(window+0.5), int64(longest+0.5)
	receipt.StrongestLock = modes()[strongest]
}

// window is how long a migration keeps writers out of a table that was there
// before: from the beginning of the first statement that does to the commit, or,
// outside of a transaction, during each statement that does.
func (m *migrationReport) window() float64 {
	if !m.Transaction {
		window := 0.0
		for _, s := range m.Statements {
			if s.keepsWritersOut() {
				window += s.MS
			}
		}
		return window
	}
	first := slices.IndexFunc(m.Statements, statementReport.keepsWritersOut)
	if first < 0 {
		return 0
	}
	window := m.CommitMS
	for _, s := range m.Statements[first:] {
		window += s.MS
	}
	return window
}

// write puts the report into a file for the account alone, and returns the
// file's SHA-256, in hex.
func (r *report) write(path string) (sum string, err error) {
	if sum, err = writeJSON(path, r); err != nil {
		return "", fmt.Errorf("write the report: %w", err)
	}
	return sum, nil
}

// writeJSON writes a file that the account alone can read, and returns its
// SHA-256, in hex.
func writeJSON(path string, value any) (sum string, err error) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return "", err
	}
	text = append(text, '\n')
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(text)), nil
}
