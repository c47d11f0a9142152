package plan

import (
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// services are the steps that stop something and those that start it again, each
// in the order of the file.
type services struct {
	run                       []*entry // gates and steps, by their order
	stops                     []*entry // steps, then hooks
	held                      map[*entry]string
	starts, hooks             map[string][]*entry // by what they start
	holdingTasks, startsAgain map[string]bool     // by task, as asking each time is slow
	unclear                   bool                // what one of them stops or starts cannot be read
}

func (c *checker) services() *services {
	if c.stopped != nil {
		return c.stopped
	}
	s := &services{
		held: map[*entry]string{}, starts: map[string][]*entry{}, hooks: map[string][]*entry{},
		holdingTasks: map[string]bool{}, startsAgain: map[string]bool{},
	}
	c.stopped = s
	for _, spec := range c.tasks {
		s.holdingTasks[spec.Name], s.startsAgain[spec.Name] = spec.Holds(), spec.Releases()
	}
	for _, e := range c.scope.all {
		if !e.hook {
			s.run = append(s.run, e)
		}
		name := e.step.Task.Name
		if !s.holdingTasks[name] && !s.startsAgain[name] {
			continue
		}
		s.unclear = s.unclear || e.unread
		held := c.held(e)
		switch {
		case held == "":
		case s.holdingTasks[name]:
			s.stops = append(s.stops, e)
			s.held[e] = held
		case e.hook:
			s.hooks[held] = append(s.hooks[held], e)
		default:
			s.starts[held] = append(s.starts[held], e)
		}
	}
	return s
}

// held returns how the plan writes what the step holds or lets go of, such as a
// service's address: with its references as they stand, so that two steps can be
// compared before their values are known. It is "" if the step does not say.
func (c *checker) held(e *entry) string {
	config := shapeOf(e.step.Task.Config)
	for _, f := range config.fields {
		if !f.Held {
			continue
		}
		_, n := (place{node: e.step.With.node}).find(f.Key)
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n != nil {
			return strings.Join(strings.Fields(n.Value), "")
		}
	}
	return ""
}

// started returns the first later step that starts again what e stops, if the
// run goes well, or nil.
func (s *services) started(e *entry) *entry {
	starts := s.starts[s.held[e]]
	i := sort.Search(len(starts), func(i int) bool { return starts[i].order > e.order })
	if i == len(starts) {
		return nil
	}
	return starts[i]
}

// back tells whether a rollback from the phase of e, behind one of its hooks or
// with -1 from the first on, starts again what e stops.
func (s *services) back(e *entry, behind int) bool {
	hooks := s.hooks[s.held[e]]
	i := sort.Search(len(hooks), func(i int) bool { return hooks[i].phase > e.phase })
	return i > 0 && (hooks[0].phase < e.phase || hooks[i-1].order > behind)
}

func checkLeftStopped(c *checker) {
	s := c.services()
	if s.unclear {
		return // what seems to be missing may be what cannot be read
	}
	for _, e := range s.stops {
		phase, problem, hint := c.plan.Phases[e.phase], "", "add a hook that starts it, at the end of this phase's rollback"
		switch {
		case e.hook:
			if !s.back(e, e.order) {
				problem = "no later hook starts again what hook %s stops"
			}
		case s.started(e) == nil:
			problem, hint = "no later step starts again what step %s stops", "add a step that starts it"
		case len(phase.Rollback) == 0 && phase.OnFailure != Rollback: // a failed run halts, and goes on with its steps
		case !s.back(e, -1):
			problem = "a rollback does not start again what step %s stops"
		}
		if problem != "" {
			c.at(e.step.at("task"), "left-stopped", problem, quote(e.step.ID)).warn().hint("%s", hint)
		}
	}
}
