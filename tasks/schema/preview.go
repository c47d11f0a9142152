package schema

import (
	"context"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// Preview shows the statements of the migrations that are pending.
func (a *Apply) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	f, err := openFolder(a.Dir)
	if err != nil {
		return task.Preview{}, err
	}
	d, err := open(ctx, a.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	defer d.close()
	p, err := a.plan(ctx, d, f)
	if err != nil {
		return task.Preview{}, err
	}
	preview := task.Preview{Does: []string{}}
	for _, file := range p.pending {
		stmts, err := statements(file)
		if err != nil {
			return task.Preview{}, err
		}
		lines := []string{"-- " + file.Name()}
		for _, stmt := range stmts {
			lines = append(lines, stmt.Text)
		}
		preview.Does = append(preview.Does, strings.Join(lines, "\n"))
	}
	if len(preview.Does) == 0 {
		preview.Does = append(preview.Does, "nothing: the database is at version "+p.current+" already")
	}
	return preview, nil
}

// Preview says which reverse migrations would run.
func (r *Revert) Preview(context.Context, *task.Env) (task.Preview, error) {
	return task.Preview{
		Does: []string{
			"run the reverse migrations back to version " + r.To + ", in one transaction",
			"write what the old schema has no place for to files in the run's directory, before that",
		},
		Loses: "rows and columns that only the new schema has, from the database; they are in the files",
	}, nil
}
