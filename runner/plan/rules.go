package plan

// A Rule is one kind of finding.
type Rule struct {
	Name     string // as it stands in brackets behind a message
	Severity Severity
	Why      string // one line

	check func(*checker) // nil for what is found in reading
}

// Rules returns every rule. A rule of the plan as a whole is added here, with
// its function; they are carried out in this order.
func Rules() []Rule {
	rules := append(readingRules(), referenceRules()...)
	rules = append(rules, ignoreRules()...)
	rules = append(rules, structureRules()...)
	return append(rules, judgements()...)
}

// structureRules are what any plan must keep.
func structureRules() []Rule {
	return []Rule{
		{"name", Error, "names stand in journals, file names and references, so they have one form", checkNames},
		{"duplicate-name", Error, "a name that two things have cannot be referred to", checkDuplicates},
		{"empty-phase", Error, "a phase without gates and steps is a mistake in the plan's making", checkEmpty},
		{"gate", Error, "gates only look, and nothing else waits for somebody", checkGates},
		{"promise", Error, "what changes something can be taken back, or the plan says why not", checkPromise},
		{"variable", Error, "a variable that must have one value needs no default", checkVariables},
		{"after", Error, "only a rollback hook may find that a step before it did not run", checkAfter},
		{"retry", Error, "what failed half-way may be tried again only if its task says that this is safe", checkRetry},
		{"reference", Error, "a reference that cannot be resolved would fail in the middle of a run", checkConfigs},
		{"probe", Error, "a probe that cannot ask measures nothing", checkProbes},
		{"literal-secret", Error, "a secret in a plan is a secret no more", checkSecrets},
		{"unused-variable", Warning, "a variable that nothing reads is asked for in vain", checkUnused},
	}
}

// judgements are what a careful reader would ask of a plan that can be read as a
// whole. There may be a reason to do otherwise, so they are warnings.
func judgements() []Rule {
	return []Rule{
		{"downtime", Warning, "an outage that nobody declared is one that nobody watches", whole(checkDowntime)},
		{"left-stopped", Warning, "what a plan stops it starts again, whichever way the run goes", whole(checkLeftStopped)},
		{"budget", Warning, "a budget smaller than what its steps may take is overrun by design", whole(checkBudget)},
		{"no-probe", Warning, "without a probe nothing measures a downtime", whole(checkNoProbe)},
		{"backup", Warning, "what cannot be taken back can only be restored", whole(checkBackup)},
		{"approval", Warning, "a person decides on what cannot be taken back", whole(checkApproval)},
		{"nothing-to-take-back", Warning, "on_failure: rollback promises a way back, which some phase has to hold", whole(checkNothingToTakeBack)},
		{"constant-condition", Warning, "a condition that always says the same tells nothing", nil},
		{"unreachable-phase", Warning, "a phase behind a gate that never opens is never carried out", nil},
		{"contacts", Warning, "at three in the morning somebody has to be called", whole(checkContacts)},
	}
}

// whole has a rule judge only a plan of which every part could be read: what is
// missing may be what the rule asks for.
func whole(check func(*checker)) func(*checker) {
	return func(c *checker) {
		if c.whole {
			check(c)
		}
	}
}

// readable tells whether every part of the plan could be read.
func (c *checker) readable() bool {
	for _, e := range c.scope.all {
		if e.step.Task.Config == nil || e.step.node == nil {
			return false
		}
	}
	for i := range c.plan.Phases {
		if c.plan.Phases[i].node == nil {
			return false
		}
	}
	return len(c.doubtful) == 0 && !c.hidden.steps && !c.hidden.env
}

// readingRules are the findings of reading a file.
func readingRules() []Rule {
	return []Rule{
		{"encoding", Error, "a plan is UTF-8 text", nil},
		{"too-large", Error, "a plan that no person can read cannot be approved", nil},
		{"too-many", Note, "findings beyond the first thousand are counted only", nil},
		{"empty", Error, "a plan says at least its version, name and phases", nil},
		{"syntax", Error, "the file must be YAML", nil},
		{"documents", Error, "a second document would be ignored in silence", nil},
		{"nesting", Error, "what is nested deeply is a mistake or an attack", nil},
		{"alias", Error, "an alias stands for what is written once, and not for itself", nil},
		{"taken-as-text", Warning, "a quote or a reference that is none stays in the value as it is", nil},
		{"tag", Error, "tags change what a value means without looking like it", nil},
		{"key", Error, "keys are plain words", nil},
		{"merge-key", Error, "merged keys are not where they seem to be", nil},
		{"duplicate-key", Error, "only one of two values could count", nil},
		{"unknown-key", Error, "a key that means nothing is a key misspelled", nil},
		{"missing-key", Error, "without this key there is nothing to do", nil},
		{"no-value", Error, "a key without a value is a line not finished", nil},
		{"wrong-type", Error, "nothing is coerced", nil},
		{"wrong-value", Error, "the value is outside of what the key can take", nil},
		{"out-of-range", Error, "the value is outside of what makes sense", nil},
		{"unknown-version", Error, "a plan of another version means something else", nil},
		{"unknown-task", Error, "a step carries out a task that this program has", nil},
	}
}

// referenceRules are the findings of resolving references, and of asking the
// tasks.
func referenceRules() []Rule {
	return []Rule{
		{"reference-place", Error, "a reference elsewhere would stay as it is written", nil},
		{"unknown-variable", Error, "the plan declares what it reads from outside", nil},
		{"unknown-step", Error, "a reference names a step of the plan", nil},
		{"step-order", Error, "a receipt is there once its step has run", nil},
		{"hook-reference", Error, "a hook that needs what a step left says what to do if the step never ran", nil},
		{"unknown-field", Error, "a receipt has the fields that its task gives it", nil},
		{"type-mismatch", Error, "a receipt's field fits the key that it is given to", nil},
		{"condition", Error, "a condition that cannot be evaluated would close its gate for good", nil},
		{"task-config", Error, "a task refuses this configuration whenever it would run", nil},
		{"missing-file", Error, "a file that a step reads must be there, as it belongs to the digest", nil},
		{"secret-field", Error, "a secret goes only where it is masked", nil},
	}
}
