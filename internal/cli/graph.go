package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

func (a *app) graph() *cobra.Command {
	format := "mermaid"
	command := &cobra.Command{
		Use:   "graph PLAN",
		Short: "Draw a plan, with its gates and the ways back",
		Long: `Graph draws a plan as Mermaid, which GitHub shows in comments and in the summary
of a workflow, or as SVG, which any browser shows. It needs no other program.

Exit codes: 0 done; 2 wrong call; 3 the plan has errors.`,
		Example: `  phasegate graph plans/auth0-migration.yaml
  phasegate graph plans/auth0-migration.yaml --format svg >plan.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			draw, ok := map[string]func(*plan.Plan) string{"mermaid": mermaid, "svg": svg}[format]
			if !ok {
				return fail(ExitUsage, task.Hint(fmt.Errorf("--format is %q", format), "write mermaid or svg"))
			}
			remove, err := a.unpackAside()
			if err != nil {
				return err
			}
			defer remove()
			p, err := a.load(args[0])
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(a.Out, draw(p)); err != nil {
				return fail(ExitFailed, fmt.Errorf("print the graph: %w", err))
			}
			return nil
		},
	}
	command.Flags().StringVar(&format, "format", format, "mermaid or svg")
	return command
}

// mermaid draws phases from top to bottom, gates as hexagons, and the hooks of a
// rollback beside what they take back.
func mermaid(p *plan.Plan) string {
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	fmt.Fprintf(&b, "  start([%s])\n", quoted(p.Name))
	for i, phase := range p.Phases {
		mermaidBox(&b, fmt.Sprintf("p%d", i), phase.Name, phase.Gates, phase.Steps)
		switch {
		case len(phase.Rollback) > 0:
			mermaidBox(&b, fmt.Sprintf("r%d", i), "take back "+phase.Name, nil, phase.Rollback)
		case phase.Irreversible != "":
			fmt.Fprintf(&b, "  r%d[/%s/]\n", i, quoted("stays: "+phase.Irreversible))
		}
	}
	b.WriteString("  finish([done])\n")
	before := "start"
	for i := range p.Phases {
		fmt.Fprintf(&b, "  %s --> p%d\n", before, i)
		before = fmt.Sprintf("p%d", i)
	}
	fmt.Fprintf(&b, "  %s --> finish\n", before)
	mermaidWaysBack(&b, p)
	return b.String()
}

// mermaidWaysBack draws from each phase to its rollback, and from there to those
// of the phases before.
func mermaidWaysBack(b *strings.Builder, p *plan.Plan) {
	earlier := ""
	for i, phase := range p.Phases {
		if len(phase.Rollback) == 0 && phase.Irreversible == "" {
			continue
		}
		label := "phasegate rollback"
		if phase.OnFailure == plan.Rollback {
			label = "on failure"
		}
		here := fmt.Sprintf("r%d", i)
		fmt.Fprintf(b, "  p%d -. %s .-> %s\n", i, quoted(label), here)
		if earlier != "" {
			fmt.Fprintf(b, "  %s -.-> %s\n", here, earlier)
		}
		earlier = here
	}
}

func mermaidBox(b *strings.Builder, id, title string, gates, steps []plan.Step) {
	fmt.Fprintf(b, "  subgraph %s [%s]\n    direction TB\n", id, quoted(title))
	before := ""
	for _, list := range []struct {
		steps       []plan.Step
		open, close string
	}{{gates, "{{", "}}"}, {steps, "[", "]"}} {
		for i, step := range list.steps {
			node := fmt.Sprintf("%s%s%d", id, map[string]string{"{{": "g", "[": "s"}[list.open], i)
			fmt.Fprintf(b, "    %s%s%s%s\n", node, list.open, quoted(step.ID), list.close)
			if before != "" {
				fmt.Fprintf(b, "    %s --> %s\n", before, node)
			}
			before = node
		}
	}
	b.WriteString("  end\n")
}

// quoted is a text of Mermaid's: in quotes, with its own quotes and markup as
// entities (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters).
func quoted(text string) string {
	return `"` + strings.NewReplacer(`"`, "#quot;", "#", "#35;", "<", "#lt;", ">", "#gt;", "\n", " ").Replace(text) + `"`
}
