package task

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
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

// An Age is a length of time that people count in days, written "7d", "36h" or
// "1d12h". A day has 24 hours.
type Age time.Duration

const day = 24 * time.Hour

// UnmarshalText reads days, hours and what is shorter, longest first.
func (a *Age) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	rest, total := s, time.Duration(0)
	if number, after, ok := strings.Cut(s, "d"); ok {
		days, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return notAnAge(s)
		}
		rest, total = after, time.Duration(days)*day
		if rest == "" {
			*a = Age(total)
			return nil
		}
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || strings.HasPrefix(rest, "+") || total+more < total {
		return notAnAge(s)
	}
	*a = Age(total + more)
	return nil
}

func notAnAge(s string) error {
	return fmt.Errorf("%q is not a length of time: write days and hours, such as 7d, 36h or 1d12h", s)
}

// String returns the length as it is written in a plan.
func (a Age) String() string {
	days, rest := time.Duration(a)/day, time.Duration(a)%day
	short := rest.String()
	if strings.HasSuffix(short, "m0s") {
		short = strings.TrimSuffix(short, "0s")
	}
	if strings.HasSuffix(short, "h0m") {
		short = strings.TrimSuffix(short, "0m")
	}
	switch {
	case days == 0:
		return short
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%s", days, short)
}
