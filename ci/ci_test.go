package ci

import (
	"bytes"
	"strings"
	"testing"
)

func TestAGuardedLogHoldsNoCommands(t *testing.T) {
	t.Parallel()
	text := "a line\n::add-mask::x\n  \t::set-output name=a::b\nsay ::this is none\n##[group]x\nx ##[error]y\n\u00a0\v::error::z\n\ufeff::error::z\n\u2028::stop-commands::q\r::warning::w\n# a comment\n: a\n#"
	for size := 1; size <= len(text); size++ {
		var log bytes.Buffer
		guard := NewGuard(&log)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := guard.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := guard.Flush(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(log.String(), "\r", "\n"), "\n") {
			if strings.HasPrefix(strings.TrimLeftFunc(line, blank), "::") || strings.Contains(line, "##[") {
				t.Fatalf("in pieces of %d bytes: %q", size, line)
			}
		}
		if kept := strings.NewReplacer(": :", "::", "# #[", "##[").Replace(log.String()); kept != text {
			t.Fatalf("in pieces of %d bytes: %q", size, kept)
		}
	}
}
