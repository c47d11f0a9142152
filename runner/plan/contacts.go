package plan

import (
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

func checkContacts(c *checker) {
	changes := slices.ContainsFunc(c.scope.all, func(e *entry) bool { return e.step.Task.Kind == task.Changes })
	if changes && len(c.plan.Contacts) == 0 {
		key, at := c.plan.find("contacts")
		if key == nil {
			at = c.plan.at("name")
		}
		c.at(at, "contacts", "this plan changes something and names nobody to call").warn().
			hint(`add contacts, such as { role: Database administrator, reach: "+49 30 1234567" }`)
	}
	for i := range c.plan.Contacts {
		contact := &c.plan.Contacts[i]
		for key, text := range map[string]string{"role": contact.Role, "reach": contact.Reach} {
			if contact.has(key) && unfilled(text) {
				c.at(contact.at(key), "contacts", "%s is not filled in", quote(key)).warn().
					hint("write who it is and how to reach them, such as a telephone number or a channel")
			}
		}
	}
}

// unfilled tells whether a text only keeps a place.
func unfilled(text string) bool {
	plain := strings.ToLower(strings.Trim(text, " .<>[]{}()?!-_*:"))
	return slices.Contains([]string{"", "todo", "tbd", "tba", "fixme", "xxx", "n/a", "na", "none", "unknown", "to be defined", "placeholder", "changeme", "name", "phone", "email"}, plain)
}
