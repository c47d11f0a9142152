package ci

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Asked says in Markdown who started the workflow, at which commit, and with which
// inputs: an approval is of these too, and the plan's digest covers none of them.
func (j *Job) Asked() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Started by %s", Markdown(j.Actor))
	if j.Dispatcher != "" && j.Dispatcher != j.Actor {
		fmt.Fprintf(&b, ", again after %s", Markdown(j.Dispatcher))
	}
	if j.commit != "" {
		fmt.Fprintf(&b, ", at commit %s", MarkdownCode(j.commit))
	}
	if j.ref != "" {
		fmt.Fprintf(&b, " of %s", MarkdownCode(j.ref))
	}
	b.WriteString(".\n")
	inputs := j.inputs()
	for i, name := range slices.Sorted(maps.Keys(inputs)) {
		fmt.Fprintf(&b, "%s- %s: %s\n", map[bool]string{true: "\n"}[i == 0], Markdown(name), MarkdownCode(inputs[name]))
	}
	return b.String()
}

// inputs are those that the workflow was started with, as far as they say
// anything: https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_dispatch
func (j *Job) inputs() map[string]string {
	var event struct {
		Inputs map[string]any `json:"inputs"`
	}
	text, err := os.ReadFile(j.event)
	if err != nil || json.Unmarshal(text, &event) != nil {
		return nil // no event has inputs but this one
	}
	inputs := map[string]string{}
	for name, value := range event.Inputs {
		if text := fmt.Sprint(value); value != nil && text != "" {
			inputs[name] = text
		}
	}
	return inputs
}
