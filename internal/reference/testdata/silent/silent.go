// Package silent has a task that does not say what its keys mean.
package silent

import (
	"context"

	"github.com/medlogistics/phasegate/runner/task"
)

type Mute struct {
	Key    string `with:"key"`
	Nested struct {
		Inner int `with:"inner"` //
	} `with:"nested"` // said
}

type Nothing struct {
	Count int `json:"count"`
}

// Check does nothing.
func (*Mute) Check(context.Context, *task.Env) error { return nil }

// Run does nothing.
func (*Mute) Run(context.Context, *task.Env) (Nothing, error) { return Nothing{}, nil }
