package task

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Path names a file or a directory that belongs to the plan. A relative one is
// relative to the plan's own file, wherever the runner was started.
type Path string

// Bytes is a size, written "512MB" (powers of 1,000) or "5GiB" (powers of 1,024).
type Bytes int64

var byteUnits = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for _, unit := range byteUnits {
		number, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) || n*unit.size >= math.MaxInt64 {
			break
		}
		*b = Bytes(n * unit.size)
		return nil
	}
	return fmt.Errorf("%q is not a size: write a number and a unit, such as 512MB or 5GiB", s)
}

// String returns the size in the largest decimal unit that keeps it above 1.
func (b Bytes) String() string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if float64(b) >= unit.size {
			return strconv.FormatFloat(float64(b)/unit.size, 'f', 1, 64) + " " + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + " B"
}

// A Percent is a share, written "80%" and held as 0.8.
type Percent float64

// UnmarshalText reads a percentage from 0% to 100%.
func (p *Percent) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	number, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is not a percentage: write one from 0%% to 100%%, such as 80%%", s)
	}
	*p = Percent(n / 100)
	return nil
}

// String returns the percentage as it is written in a plan.
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p)*100, 'f', -1, 64) + "%"
}
