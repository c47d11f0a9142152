package cli

import (
	"encoding/json"

	"github.com/medlogistics/phasegate/runner/journal"
)

// jsonLines writes each event as a line to standard output. The first one is
// always opened, with the version of the contract.
func (a *app) jsonLines() func(journal.Event) {
	encoder := json.NewEncoder(a.Out)
	return func(e journal.Event) {
		if err := encoder.Encode(e); err != nil {
			a.log.Warn("event not written to standard output", "seq", e.Seq, "reason", err.Error())
		}
	}
}

func both(first, second func(journal.Event)) func(journal.Event) {
	return func(e journal.Event) {
		first(e)
		second(e)
	}
}
