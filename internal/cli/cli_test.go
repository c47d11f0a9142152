package cli

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"phasegate": func() { os.Exit(mortal(newApp(System())).main(os.Args[1:])) },
	})
}

// TestScripts runs the scripts of testdata/script, one for each thing that a
// user can rely on at the command line. `code N` holds the last exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": exitsWith,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVICE", "exec://"+env.WorkDir+"/service/control")
			env.Setenv("TOY", "exec://"+env.WorkDir+"/service/control")
			env.Setenv("OTHER", "exec://"+env.WorkDir+"/other/control")
			return nil
		},
	})
}
