package evidence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/journal"
)

// Format names the form of a bundle. A reader refuses any other.
//
// A bundle is a zip file. Its comment ends with the SHA-256, in hex, of every
// byte before those digits, so that no byte of it can change unseen, those
// included that a zip reader skips. The last of its entries is the manifest,
// which lists all others in their order with the SHA-256 of each.
const Format = "phasegate-evidence/1"

// The limits of a bundle. What is larger is left out of it and said to be.
const (
	MaxArtifact = 64 << 20  // bytes of a report
	maxEntry    = 512 << 20 // bytes of any entry
	maxEntries  = 10_000
)

// The entries that every bundle has.
const (
	manifestName = "manifest.json"
	journalName  = "journal.jsonl"
	planName     = "plan/plan.yaml"
)

// The roles of an entry.
const (
	roleJournal  = "journal"
	rolePlan     = "plan"
	roleFile     = "plan_file"
	roleArtifact = "artifact"
)

// A Manifest says what is in a bundle, and what is not.
type Manifest struct {
	Format  string  `json:"format"`
	Version string  `json:"version"` // of the phasegate that made it
	Run     string  `json:"run"`
	Plan    string  `json:"plan"`   // its name
	Digest  string  `json:"digest"` // SHA-256 of the plan and its files, in hex
	Events  int64   `json:"events"` // number of events
	Last    string  `json:"last"`   // SHA-256 of the last of them, in hex
	Entries []Entry `json:"entries"`
	LeftOut []Left  `json:"left_out"`
}

// An Entry is one file of a bundle.
type Entry struct {
	Name   string `json:"name"` // in the zip file
	Role   string `json:"role"` // journal, plan, plan_file or artifact
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`          // in hex
	Of     string `json:"of,omitempty"`    // a plan_file's name in the digest
	Step   string `json:"step,omitempty"`  // whose receipt names the artifact
	Field  string `json:"field,omitempty"` // of that receipt
}

// A Left is a file that a receipt names and that is not in the bundle.
type Left struct {
	Step  string `json:"step"`
	Field string `json:"field"` // of the step's receipt
	Why   string `json:"why"`
}

// comment begins what ends a bundle: 64 hexadecimal digits follow it.
const comment = Format + ", SHA-256 of every byte before these digits: "

const digits = 2 * sha256.Size

// seal returns the digits that a bundle of that size ends with.
func seal(ctx context.Context, bundle io.ReaderAt, size int64) (string, error) {
	return sumOf(ctx, io.NewSectionReader(bundle, 0, size-digits))
}

// validName tells whether an entry may be called so: a relative path of plain
// names, which cannot leave the directory into which a bundle is unpacked.
func validName(name string) bool {
	return fs.ValidPath(name) && plainName().MatchString(name)
}

var plainName = pattern.Lazy(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]*(/[a-zA-Z0-9_][a-zA-Z0-9_.-]*)*$`)

// nameOfFile names the n-th file of a plan, whose own name may lead anywhere.
func nameOfFile(n int, of string) string {
	base := strings.Map(func(r rune) rune {
		if plainName().MatchString(string(r)) {
			return r
		}
		if r == '.' || r == '-' {
			return r
		}
		return '_'
	}, path.Base(of))
	return fmt.Sprintf("plan/files/%04d-%s", n, base)
}

// nameOfArtifact names the file of a receipt.
func nameOfArtifact(c claim) string {
	return "artifacts/" + c.step + "/" + c.field + path.Ext(path.Base(c.path))
}

// fits holds the manifest against its own bundle's journal.
func (m Manifest) fits(r *Report, from Record) Finding {
	finding := Finding{What: "manifest", Result: Fits, Detail: fmt.Sprintf(
		"%d entries with the SHA-256 of each, made by phasegate %s", len(m.Entries), m.Version)}
	if why := cmp.Or(m.untrue(r), m.unnamed(from)); why != "" {
		finding.Result, finding.Detail = Differs, why
	}
	return finding
}

// untrue says what the manifest tells otherwise than the journal.
func (m Manifest) untrue(r *Report) string {
	told := []any{m.Run, m.Plan, m.Digest, m.Events, m.Last}
	for i, seen := range []any{r.Run, r.Plan, r.Digest, r.Events, r.Last} {
		if told[i] != seen {
			return fmt.Sprintf("it says %v where the journal says %v", told[i], seen)
		}
	}
	return ""
}

// unnamed says which artifact is not one that a receipt names.
func (m Manifest) unnamed(from Record) string {
	named := map[string]bool{}
	events, _ := journal.Verify(from.Run, from.Lines) // up to the first that does not fit
	for _, c := range claims(events) {
		named[c.step+"."+c.field] = true
	}
	for _, e := range m.Entries {
		if e.Role == roleArtifact && !named[e.Step+"."+e.Field] {
			return fmt.Sprintf("entry %s is named by no receipt", e.Name)
		}
	}
	return ""
}

// sumsOf decodes the hash of an entry as the plan's digest takes it.
func sumsOf(e Entry) (sum [sha256.Size]byte, err error) {
	n, err := hex.Decode(sum[:], []byte(e.SHA256)[:min(len(e.SHA256), digits)])
	if err == nil && n != sha256.Size {
		err = fmt.Errorf("%s has no SHA-256", e.Name)
	}
	return sum, err
}
