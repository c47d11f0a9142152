package journal

import (
	"fmt"
	"strings"
)

// Contract is the version of the events' form. A higher minor version adds
// fields and types, which a reader of this one ignores. A higher major version
// changes what is there, and is not read at all.
const Contract = "1.1"

// Reads tells whether journals of a contract's version are understood here.
func Reads(contract string) bool {
	major, _, ok := strings.Cut(contract, ".")
	ours, _, _ := strings.Cut(Contract, ".")
	return ok && major == ours
}

// A ContractError says that a journal is not damaged, but of a version that is
// not understood here. Nothing may be done for its run.
type ContractError struct {
	Run      string
	Contract string // what its session names
}

func (e *ContractError) Error() string {
	return fmt.Sprintf("journal of run %s is of contract %s, and this phasegate reads %s", e.Run, e.Contract, Contract)
}

// Advice returns the hint.
func (e *ContractError) Advice() string {
	return "use the phasegate that wrote it, or a newer one"
}
