package ci_test

import (
	"os"
	"testing"

	"github.com/medlogistics/phasegate/ci"
)

func TestTheRepositorysActionIsTheOneThatWorkflowWrites(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../" + ci.ActionFile)
	if err != nil || string(text) != ci.Action {
		t.Errorf("%s is not ci/action.yml: %v", ci.ActionFile, err)
	}
}
