package task

import "context"

// A Previewer is a task that can say beforehand what Run would do. Preview
// reads, and changes nothing. What an earlier step will have found stands in its
// configuration as "<step.field>", and a number as 0.
type Previewer interface {
	Preview(ctx context.Context, env *Env) (Preview, error)
}

// A Preview is what Run would do from here.
type Preview struct {
	Does       []string `json:"does"`                  // a line each: a command, a statement, a sentence
	DurationMS int64    `json:"duration_ms,omitempty"` // about how long it takes, in milliseconds; 0 is unknown
	DiskBytes  int64    `json:"disk_bytes,omitempty"`  // that it needs
	Loses      string   `json:"loses,omitempty"`       // what is lost for good by it, a sentence; "" is nothing
}
