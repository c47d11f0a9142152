package plan

import (
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// An outage is what the plan itself brings about: from the first step that stops
// something to the one from which on all of it is started again.
type outage struct {
	steps []*entry // the gates and steps in it, in order
}

// outages returns them in their order. None overlaps another.
func (c *checker) outages() []outage {
	s := c.services()
	var all []outage
	end := -1 // the order of the last one's last step
	for _, e := range s.stops {
		if e.hook {
			continue
		}
		last := e.order
		if to := s.started(e); to != nil {
			last = to.order
		} else if !s.unclear { // it is told elsewhere that nothing starts it; here it counts to the end of its phase
			for last+1 < len(s.run) && s.run[last+1].phase == e.phase {
				last++
			}
		}
		switch {
		case e.order > end:
			all = append(all, outage{s.run[e.order : last+1]})
		case last > end:
			joined := &all[len(all)-1]
			joined.steps = s.run[joined.steps[0].order : last+1]
		}
		end = max(end, last)
	}
	return all
}

// phases calls do for every phase in the outage, with the steps that it has in it.
func (o outage) phases(do func(phase int, steps []*entry)) {
	for steps := o.steps; len(steps) > 0; {
		n := slices.IndexFunc(steps, func(e *entry) bool { return e.phase != steps[0].phase })
		if n < 0 {
			n = len(steps)
		}
		do(steps[0].phase, steps[:n])
		steps = steps[n:]
	}
}

func checkDowntime(c *checker) {
	told := map[int]bool{}
	for _, o := range c.outages() {
		first := o.steps[0]
		o.phases(func(i int, _ []*entry) {
			phase := &c.plan.Phases[i]
			if phase.has("downtime") || told[i] {
				return
			}
			told[i] = true
			at, message := first.step.at("task"), "step %s stops something, and phase %s declares no downtime"
			if i != first.phase {
				at, message = phase.at("name"), "what step %s stops is still away in phase %s, which declares no downtime"
			}
			c.at(at, "downtime", message, quote(first.step.ID), quote(phase.Name)).warn().
				hint("add downtime: 5m to the phase, or how long users may be without it")
		})
	}
}

// checkBudget adds up what the steps of an outage may take, as far as the plan
// says it, and compares it with the phase's downtime.
func checkBudget(c *checker) {
	told := map[int]bool{}
	for _, o := range c.outages() {
		o.phases(func(i int, steps []*entry) {
			if !told[i] {
				told[i] = c.overrun(&c.plan.Phases[i], steps)
			}
		})
	}
	for _, probe := range c.plan.Probes {
		for i := range c.plan.Phases {
			if phase := &c.plan.Phases[i]; phase.Downtime > 0 && probe.Every > phase.Downtime {
				c.at(probe.at("every"), "budget", "probe %s asks every %s, too seldom to see an outage of %s",
					quote(probe.Name), lasting(probe.Every), lasting(phase.Downtime)).warn().
					hint("ask at least ten times within the downtime").
					relate(positionOf(phase.at("downtime")), "the downtime is declared here")
				break
			}
		}
	}
}

// overrun reports a budget that the steps of an outage exceed, and tells whether
// they do.
func (c *checker) overrun(phase *Phase, steps []*entry) bool {
	var sum, most time.Duration
	var slowest *yaml.Node
	for _, e := range steps {
		takes, by := c.longest(e.step)
		sum += takes
		if takes > most {
			most, slowest = takes, by
		}
	}
	if phase.Downtime == 0 || sum <= phase.Downtime {
		return false
	}
	c.at(phase.at("downtime"), "budget", "the steps of this outage may take %s by their timeouts, more than the downtime", lasting(sum)).
		warn().hint("shorten their timeouts or retries, or declare the longer downtime").
		relate(positionOf(slowest), "the longest of them, "+lasting(most)+" with its retries")
	return true
}

// longest is how long the step may take, its further attempts included, and the
// value that says so. Without one it is 0. The wait between two attempts doubles.
func (c *checker) longest(s *Step) (time.Duration, *yaml.Node) {
	attempt, by := c.limit(s)
	if s.Timeout > 0 && (attempt == 0 || s.Timeout < attempt) {
		attempt, by = s.Timeout, s.at("timeout")
	}
	if attempt == 0 {
		return 0, nil
	}
	most, wait := attempt, s.Retry.Wait
	for range min(s.Retry.Times, 10) {
		most, wait = most+wait+attempt, 2*wait
	}
	return most, by
}

// limit is after how long the step's task gives up by its own configuration, and
// the value that says so. It is 0 if the plan does not say.
func (c *checker) limit(s *Step) (time.Duration, *yaml.Node) {
	for _, f := range shapeOf(s.Task.Config).fields {
		if !f.Limit {
			continue
		}
		_, n := (place{node: s.With.node}).find(f.Key)
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n != nil {
			limit, _ := time.ParseDuration(n.Value) // a reference is known only when the plan runs
			return max(limit, 0), n
		}
	}
	return 0, nil
}

// checkNoProbe holds that a downtime is measured.
func checkNoProbe(c *checker) {
	for i := range c.plan.Phases {
		if phase := &c.plan.Phases[i]; phase.Downtime > 0 && !c.plan.has("probes") {
			c.at(phase.at("downtime"), "no-probe", "phase %s declares a downtime, and the plan has no probe to measure it", quote(phase.Name)).
				warn().hint("add probes, with the url of a page that users see")
			return
		}
	}
}
