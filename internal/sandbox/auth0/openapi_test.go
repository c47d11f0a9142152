package auth0_test

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0/openapitest"
)

// TestBodiesAreThoseOfTheOpenAPIDocument compares what every endpoint takes with
// the document, and holds the bodies of the requests that the tenant has accepted
// and of its answers to it, property by property. Differences are in
// testdata/differences.txt, each with the reason.
func TestBodiesAreThoseOfTheOpenAPIDocument(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("reading the generated SDK takes a while: set PHASEGATE_SOAK=1")
	}
	t.Parallel()
	document := openapitest.Load(t)
	known := readReasons(t, openAPIMark)
	differ := func(line string) {
		if _, ok := known[line]; !ok {
			t.Errorf("%s", line)
		}
		known[line] = true
	}
	compareBodies(t, document, differ)
	compareTraffic(t, document, differ)
	for line, used := range known {
		if !used {
			t.Errorf("testdata/differences.txt: nothing differs like this any more: %s", line)
		}
	}
}

// compareBodies compares the properties that each endpoint takes and wants.
func compareBodies(t *testing.T, document *openapitest.Document, differ func(string)) {
	t.Helper()
	bodies, alike := 0, 0
	for _, pattern := range auth0.Endpoints() {
		properties, required, ok := auth0.Body(pattern)
		if !ok {
			continue
		}
		bodies++
		wanted := document.Body(pattern)
		if wanted == nil {
			t.Errorf("%s: the document has no object for its body", pattern)
			continue
		}
		differences := bodyDifferences(properties, required, wanted)
		if len(differences) == 0 {
			alike++
		}
		for _, d := range differences {
			differ(pattern + ": " + d)
		}
	}
	t.Logf("%d closed bodies: %d as in the document, %d with differences", bodies, alike, bodies-alike)
}

// bodyDifferences compares what an endpoint takes with what the document says.
func bodyDifferences(properties, required []string, wanted map[string]bool) []string {
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch {
		case !slices.Contains(properties, name):
			differences = append(differences, name+" is refused")
		case wanted[name] && !slices.Contains(required, name):
			differences = append(differences, name+" may be left out")
		case !wanted[name] && slices.Contains(required, name):
			differences = append(differences, name+" is wanted")
		}
	}
	for _, name := range properties {
		if _, ok := wanted[name]; !ok {
			differences = append(differences, name+" is taken")
		}
	}
	return differences
}
