package auth0

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"
)

// A report is a file of JSON lines about single users, with ids and nothing else
// of theirs. Every line is in the file before the next user is dealt with, so
// that a process that dies leaves the report of what it saw. A run begins with
// a line of its own and adds to what earlier ones wrote.
type report struct {
	mu   sync.Mutex
	file *os.File
	run  int
}

// A runLine stands where a run begins and where it ends.
type runLine struct {
	Run     int       `json:"run"`
	Event   string    `json:"event"` // begin, end
	At      time.Time `json:"at"`
	Receipt any       `json:"receipt,omitempty"`
}

// openReport opens the file, mode 0600, and begins a run in it.
func openReport(path string) (*report, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the report: %w", err)
	}
	r := &report{file: file}
	if r.run, err = lastRun(file); err == nil {
		r.run++
		err = r.add(runLine{Run: r.run, Event: "begin", At: time.Now().UTC()})
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open the report: %w", err)
	}
	return r, nil
}

// lastRun returns the number of the last run that the file tells of. A last
// line that was cut short gets its end, so that the next one stands alone.
func lastRun(file *os.File) (int, error) {
	run := 0
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		var l runLine
		if json.Unmarshal(line, &l) == nil && l.Event == "begin" {
			run = l.Run
		}
		if errors.Is(err, io.EOF) {
			if len(bytes.TrimSpace(line)) > 0 {
				_, err := file.WriteString("\n")
				return run, err
			}
			return run, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// add writes one line.
func (r *report) add(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// end writes the run's last line, makes the file durable and returns the SHA-256
// of all of it, in hex.
func (r *report) end(receipt any) (sum string, err error) {
	err = r.add(runLine{Run: r.run, Event: "end", At: time.Now().UTC(), Receipt: receipt})
	digest := sha256.New()
	_, readErr := io.Copy(digest, io.NewSectionReader(r.file, 0, math.MaxInt64))
	if err = errors.Join(err, readErr, r.file.Sync(), r.file.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
