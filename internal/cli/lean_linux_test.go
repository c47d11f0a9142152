package cli

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

const someSmaps = `00400000-00f4a000 r-xp 00000000 fe:00 10035192                           /bin/phasegate
Rss:                8360 kB
Anonymous:             0 kB
00f4a000-01c03000 r--p 00b4a000 fe:00 10035192                           /bin/phasegate
Rss:                8200 kB
Anonymous:             4 kB
01c03000-01cc1000 rw-p 01803000 fe:00 10035192                           /bin/phasegate
Anonymous:             0 kB
2e088e800000-2e088f400000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f3854acc000-7f3854c22000 r-xp 00026000 fe:00 326269                     /usr/lib/libc.so.6
Anonymous:             0 kB
`

func TestOnlyWhatCanBeReadAgainFromTheProgramIsGivenBack(t *testing.T) {
	want := []mapping{{0x400000, 0xf4a000}}
	if got := untouched(strings.NewReader(someSmaps), "/bin/phasegate"); !slices.Equal(got, want) {
		t.Errorf("%x are given back, not %x", got, want)
	}
}

func TestAProgramGoesOnAfterItsPagesAreGivenBack(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mappings, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(untouched(bytes.NewReader(mappings), program)) == 0 {
		t.Error("nothing of this program can be given back")
	}
	for range 3 {
		forgetStart()
	}
	if address([]byte("00f4a000")) != 0xf4a000 {
		t.Error("it does not work any more")
	}
}
