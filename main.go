// Phasegate runs risky production cut-overs from a plan file.
package main

import (
	"os"

	"github.com/medlogistics/phasegate/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
