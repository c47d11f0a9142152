package service

import (
	"context"
	"fmt"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/runner/task"
)

// Preview says by which command the service stops.
func (s *Stop) Preview(context.Context, *task.Env) (task.Preview, error) {
	does := []string{s.Service.control.line("stop")}
	if !s.Database.IsZero() {
		does = append(does, "wait until its connections to the database are gone")
	}
	return task.Preview{Does: does}, nil
}

// Preview says by which command the service starts.
func (s *Start) Preview(context.Context, *task.Env) (task.Preview, error) {
	return task.Preview{Does: []string{
		s.Service.control.line("start"),
		fmt.Sprintf("wait until %s is healthy, %s at most", fetch.Shown(string(s.URL)), s.Timeout),
	}}, nil
}

// Preview says by which commands the instance is restarted.
func (r *Restart) Preview(ctx context.Context, env *task.Env) (task.Preview, error) {
	start := r.start()
	preview, err := start.Preview(ctx, env)
	preview.Does = append([]string{r.Service.control.line("stop")}, preview.Does...)
	return preview, err
}
