package plan

import (
	"strings"
	"unicode/utf8"
)

// maxGuesses bounds the comparisons that suggestions for one file may take.
const maxGuesses = 1_000_000

// longestWord is the length up to which a word is compared.
const longestWord = 64

// Closest returns the name among names that word was probably meant to be, or "".
func Closest(word string, names []string) string { return (&report{}).suggest(word, names) }

// suggest returns the name among names that word was probably meant to be, or "".
func (r *report) suggest(word string, names []string) string {
	if len(word) > longestWord || r.guesses+len(names) > maxGuesses {
		return ""
	}
	r.guesses += len(names)
	best, least := "", allowance(utf8.RuneCountInString(word))+1
	folded := fold(word)
	for _, name := range names {
		if abs(len(name)-len(word)) >= least {
			continue
		}
		if d := distance(folded, fold(name), least); d < least {
			best, least = name, d
		}
	}
	return best
}

// allowance is how many letters of a word of that length may be wrong.
func allowance(length int) int {
	switch {
	case length < 3:
		return 0
	case length < 5:
		return 1
	}
	return max(2, length/3)
}

// didYouMean is the hint for a word that is none of names: the closest of them,
// or all if they are few.
func (r *report) didYouMean(word string, names []string) string {
	const few, short = 10, 300
	if name := r.suggest(word, names); name != "" {
		return "did you mean " + quote(name) + "?"
	}
	known := "known: " + strings.Join(names[:min(few, len(names))], ", ")
	if len(names) == 0 || len(names) > few || len(known) > short {
		return ""
	}
	return known
}

// fold takes out the differences that are easily overlooked.
func fold(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

func abs(n int) int { return max(n, -n) }

// distance returns how many letters must be put in, taken out, changed or swapped
// with their neighbour to make b of a, or a number of at least limit if that many
// do not suffice.
func distance(a, b string, limit int) int {
	var rows [3][2 * longestWord]int // as names differ in length by less than longestWord
	before, last, row := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
