package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// partial opens the file that becomes the bundle to once it is whole. It is
// locked while it is written, which tells it from what a killed process left.
func partial(to string) (*os.File, error) {
	removeLeft(to)
	file, err := os.CreateTemp(filepath.Dir(to), partialPrefix(to)+"*"+partialSuffix) // mode 0600
	if err != nil {
		return nil, err
	}
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // it is new
	return file, nil
}

const partialSuffix = ".partial"

func partialPrefix(to string) string { return "." + filepath.Base(to) + "." }

// removeLeft removes what a process that was killed had written of the bundle.
func removeLeft(to string) {
	entries, _ := os.ReadDir(filepath.Dir(to)) // what cannot be read is told by what comes next
	for _, entry := range entries {
		number, ours := strings.CutPrefix(entry.Name(), partialPrefix(to))
		number, left := strings.CutSuffix(number, partialSuffix)
		if !ours || !left || strings.Trim(number, "0123456789") != "" || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(filepath.Dir(to), entry.Name())
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = file.Close()
	}
}
