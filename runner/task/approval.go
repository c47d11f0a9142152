package task

import "time"

// A Basis is what an approval that is given now rests on: what the approver
// could know. It is kept with the approval, so that a gate can tell what has
// changed since.
type Basis struct {
	Plan   string `json:"plan"`   // its name
	Digest string `json:"digest"` // SHA-256 of the plan and every file that it names, in hex
	Run    string `json:"run"`    // its id
	Phase  string `json:"phase"`  // that the gate opens
	Gate   string `json:"gate"`   // the gate's id

	// Receipts has the SHA-256, in hex, of the receipt of each finished step of
	// the phases before, by its id. Gates are not among them: they are looked at
	// again.
	Receipts map[string]string `json:"receipts"`
}

// A Statement is what a person signed about a gate.
type Statement struct {
	Text      string `json:"statement"` // the bytes that were signed
	Signature string `json:"signature"` // of them, in OpenSSH's armored form

	Time time.Time `json:"time"` // when it came into the journal; zero if it is not there yet
}

// A Review is what a person decided about an environment where the run is
// driven by a forge, such as GitHub.
type Review struct {
	Environment string `json:"environment"` // that was reviewed
	By          string `json:"by"`          // the account
	Person      bool   `json:"person"`      // a person's account, not a program's
	Approved    bool   `json:"approved"`    // rejected if not
	Comment     string `json:"comment"`     // as it was written
	Job         string `json:"job"`         // of the forge for which it was asked, such as 4711/2: the workflow's run and attempt
	Void        string `json:"void"`        // why it cannot count, such as that it may be an earlier attempt's; "" if it can
}

// A Reviewed is a gate that people open by reviewing environments: a forge asks
// them before it starts the job behind.
type Reviewed interface{ Environments() []string }
