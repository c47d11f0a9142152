// Package toy has a task of each kind, whose fields have every type that a
// configuration may have.
package toy

import (
	"context"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Paint paints a shed. It waits until the first coat is dry.
//
// What is painted already is left alone:
//
//	phasegate run shed.yaml
type Paint struct {
	Key     redact.Secret     `with:"key,required"`          // opens the shed
	Colour  string            `with:"colour"`                // name of the colour | any will do
	Coats   int               `with:"coats" min:"1" max:"9"` // how many coats
	Finish  Finish            `with:"finish" default:"matt"` // how it shines
	Thick   float64           `with:"thick"`                 // millimetres of a coat
	Inside  bool              `with:"inside"`                // the inside too
	Drying  time.Duration     `with:"drying"`                // between two coats
	Least   task.Bytes        `with:"least"`                 // room that is left on the disk
	Share   task.Percent      `with:"share"`                 // of the day that is spent on it
	Plan    task.Path         `with:"plan"`                  // drawing of the shed
	Place   Place             `with:"place"`                 // where the shed is
	Walls   []string          `with:"walls"`                 // by name
	Labels  map[string]string `with:"labels"`                // written on the door
	Doors   []Door            `with:"doors"`                 // each with its own colour
	Windows map[string]struct {
		Panes int64 `with:"panes"` // of glass
	} `with:"windows"` // by name
	// Trim is what goes around the doors. Its comment stands
	// above it, on two lines.
	Trim struct {
		Width int `with:"width"` // millimetres
	} `with:"trim"`
}

// Finish is how a paint shines.
type Finish string

// Words returns what there is.
func (Finish) Words() []string { return []string{"matt", "gloss"} }

// A Door is a way in.
type Door struct {
	Name   string `with:"name,required"` // as on the drawing
	Colour string `with:"colour"`        // its own
}

// A Place is written as two numbers with a comma.
type Place struct{ x, y int }

// UnmarshalText reads a place.
func (p *Place) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d,%d", &p.x, &p.y)
	return err
}

func (p Place) String() string { return fmt.Sprintf("%d,%d", p.x, p.y) }

// Painted tells what was painted.
type Painted struct {
	Litres float64        `json:"litres"` // of paint
	Coats  int            `json:"coats"`  // painted by this step
	Began  time.Time      `json:"began"`  // when the lid was opened
	Walls  map[string]int `json:"walls"`  // square metres by name
	Doors  []Opened       `json:"doors"`  // in the order of the work
	Spare  *int           `json:"spare"`  // tins left, null if nobody counted
	Ready  bool           `json:"ready"`  // dry and all
}

// Opened tells of a door.
type Opened struct {
	Name string `json:"name"` // as on the drawing
}

// Check does nothing.
func (p *Paint) Check(context.Context, *task.Env) error { return nil }

// Run does nothing.
func (p *Paint) Run(context.Context, *task.Env) (Painted, error) { return Painted{}, nil }

// A Look says whether the shed is there.
type Look struct{}

// Seen is empty.
type Seen struct{}

// Check does nothing.
func (l *Look) Check(context.Context, *task.Env) error { return nil }

// Run does nothing.
func (l *Look) Run(context.Context, *task.Env) (Seen, error) { return Seen{}, nil }

// Tasks returns the toys.
func Tasks() task.Set {
	return task.NewSet(
		task.Of("shed/paint", &Paint{
			Colour: "red", Coats: 2, Thick: 0.5, Drying: 90 * time.Minute, Least: 5 << 30, Share: 0.8,
			Place: Place{3, 4}, Walls: []string{"north", "south"}, Labels: map[string]string{"b": "2", "a": "1"},
		}),
		task.Look("shed/look", &Look{}),
		task.Gate("shed/open", &Look{}),
	)
}
