package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/journal"
)

// A claim is what a receipt says of a file. The field NAME holds its path and
// NAME_sha256 its hash. Besides,
//
//	file      what the step made, may have its hash in sha256
//	metadata  a JSON object about that file, repeats that sha256
//	report    is a file also without a hash
type claim struct {
	event  int64
	step   string
	field  string
	path   string
	sha256 string // in hex, "" if the receipt has none
	about  string // of metadata: the hash that it has to repeat
	again  int64  // event by which its step was begun again since, 0 if it was not
}

// claims returns what the last receipt of every step says of files, and of a file
// that several steps wrote to what the last of them says. Events are those that fit.
func claims(events []journal.Event) []claim {
	last := map[string][]claim{}
	for _, e := range events {
		switch {
		case e.Type == journal.StepStarted:
			for i := range last[e.Step] {
				last[e.Step][i].again = e.Seq
			}
		case e.Type == journal.StepFinished && e.Receipt != nil:
			last[e.Step] = claimsOf(e)
			for step := range last {
				last[step] = slices.DeleteFunc(last[step], func(c claim) bool {
					return step != e.Step && slices.ContainsFunc(last[e.Step], func(n claim) bool { return n.path == c.path })
				})
			}
		}
	}
	return slices.SortedFunc(func(yield func(claim) bool) {
		for _, list := range last {
			for _, c := range list {
				if !yield(c) {
					return
				}
			}
		}
	}, byEvent)
}

func claimsOf(e journal.Event) (found []claim) {
	var fields map[string]any
	if json.Unmarshal(e.Receipt, &fields) != nil {
		return nil
	}
	text := func(key string) string { value, _ := fields[key].(string); return value }
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		c := claim{event: e.Seq, step: e.Step, field: field, path: text(field), sha256: text(field + "_sha256")}
		switch {
		case c.path == "":
			continue
		case field == "file" && c.sha256 == "":
			c.sha256 = text("sha256")
		case field == "metadata":
			c.about = text("sha256")
		}
		if c.sha256 != "" || field == "metadata" || field == "report" {
			found = append(found, c)
		}
	}
	return found
}

// Files is where the files that receipts name are found.
type Files interface {
	// find opens the file. The error wraps fs.ErrNotExist if it is not there.
	find(c claim) (fs.File, error)

	// kept tells whether the run kept the file in its own directory.
	kept(c claim) bool
}

// look compares a file with what its receipt says of it.
func (c claim) look(ctx context.Context, files Files) (Finding, error) {
	finding := Finding{What: "file", Event: c.event, Step: c.step, Path: c.path, Result: Missing}
	file, err := files.find(c)
	if err != nil {
		finding.Detail = whyMissing(err)
		return finding, nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		finding.Detail = whyMissing(err)
		return finding, nil
	}
	if !info.Mode().IsRegular() {
		finding.Result, finding.Detail = Differs, "it is not a file any more"
		return finding, nil
	}
	content := io.Reader(file)
	if c.about != "" {
		text, err := io.ReadAll(io.LimitReader(file, MaxArtifact))
		if why := c.aboutAnother(text); err == nil && why != "" {
			finding.Result, finding.Detail = Differs, why
			return finding, nil
		}
		content = io.MultiReader(bytes.NewReader(text), file)
	}
	sum, err := sumOf(ctx, content)
	if ctx.Err() != nil {
		return finding, context.Cause(ctx)
	}
	finding.Result, finding.Detail = c.weigh(sum, err, info.Size())
	return finding, nil
}

// weigh says what a file's hash is worth.
func (c claim) weigh(sum string, err error, size int64) (Result, string) {
	switch {
	case err != nil:
		return Missing, whyMissing(err)
	case c.sha256 == "" && c.about != "":
		return Unproven, "it repeats the SHA-256 of what it is about; the receipt has no hash of the rest of it"
	case c.sha256 == "":
		return Unproven, fmt.Sprintf("%d bytes; the receipt has no hash of it", size)
	case sum != c.sha256 && c.again > 0:
		return Unproven, fmt.Sprintf("its step was begun again by event %d and left no receipt since: it may have written to it", c.again)
	case sum != c.sha256:
		return Differs, fmt.Sprintf("its SHA-256 is %s, and the receipt says %s", sum, c.sha256)
	}
	return Fits, fmt.Sprintf("%d bytes with the receipt's SHA-256, %s", size, sum)
}

// aboutAnother says why a text is not the metadata of what the receipt names.
func (c claim) aboutAnother(text []byte) string {
	var metadata struct {
		SHA256 string `json:"sha256"`
	}
	switch err := json.Unmarshal(text, &metadata); {
	case err != nil:
		return "it is no metadata: " + err.Error()
	case metadata.SHA256 != c.about:
		return fmt.Sprintf("it is about a file with SHA-256 %s, and the receipt says %s", metadata.SHA256, c.about)
	}
	return ""
}

func whyMissing(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it is not there"
	case errors.Is(err, fs.ErrPermission):
		return "it may not be read by this account"
	}
	return strings.TrimPrefix(err.Error(), "open ")
}

// sumOf returns the SHA-256 of what is left in r, in hex. It stops when ctx ends.
func sumOf(ctx context.Context, r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, &until{ctx, r})
	return hex.EncodeToString(h.Sum(nil)), err
}
