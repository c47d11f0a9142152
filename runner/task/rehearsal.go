package task

import "time"

// A Rehearsal is what the journal of one run on a sandbox tells. Rehearsals are
// kept in the journal's store like other runs, and are never gone on with.
type Rehearsal struct {
	Run    string    // its id
	Digest string    // SHA-256 of the plan and its files as it was rehearsed, in hex
	Status string    // how it ended, such as done or rolled_back
	Ended  time.Time // its last event
	Worked bool      // a phase that changes something was carried out to its end, whatever came after
	Damage string    // why its journal does not fit, and so proves nothing; "" if it does
}
