package auth0

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/medlogistics/phasegate/runner/task"
)

// mostAtOnce is how many users are given a role with one request. Auth0 documents
// no bound; with this one the roles cost little beside the users themselves.
const mostAtOnce = 100

// assign gives each account the role of its row, many at a time, and returns
// those that have it.
func (m *mover) assign(ctx context.Context, made []outcome) ([]outcome, error) {
	byRole := map[string][]outcome{}
	for _, o := range made {
		byRole[o.row.role] = append(byRole[o.row.role], o)
	}
	var have []outcome
	for _, role := range slices.Sorted(maps.Keys(byRole)) {
		for some := range slices.Chunk(byRole[role], mostAtOnce) {
			given, err := m.give(ctx, role, some)
			have = append(have, given...)
			m.mu.Lock()
			m.assigned += int64(len(given))
			m.mu.Unlock()
			if err != nil {
				return have, err
			}
		}
	}
	return have, nil
}

// give gives some accounts a role, and returns those that have it. One account
// that has been deleted makes the tenant refuse all: then they go in halves.
func (m *mover) give(ctx context.Context, role string, some []outcome) ([]outcome, error) {
	ids := make([]string, len(some))
	for i, o := range some {
		ids[i] = o.user
	}
	err := m.tenant.AssignRole(ctx, m.roles[role], ids)
	switch {
	case err == nil:
		m.alive()
		return some, nil
	case ctx.Err() != nil:
		return nil, err
	case status(err) == http.StatusNotFound:
		return m.giveHalves(ctx, role, some, err)
	case !transient(err):
		return nil, err
	}
	for _, o := range some {
		if err := m.note(o.failed(roleNotAssigned, err)); err != nil {
			return nil, err
		}
	}
	return nil, m.patience(err)
}

func (m *mover) giveHalves(ctx context.Context, role string, some []outcome, cause error) ([]outcome, error) {
	if len(some) == 1 {
		all, err := m.tenant.Roles(ctx)
		if err != nil {
			return nil, err
		}
		if all[m.task.Roles[role]] != m.roles[role] {
			return nil, task.Hint(fmt.Errorf("role %s has been deleted meanwhile: %w", m.task.Roles[role], cause),
				"make the role again, then run again")
		}
		return nil, m.note(some[0].failed(roleNotAssigned, cause))
	}
	half := len(some) / 2
	first, err := m.give(ctx, role, some[:half])
	if err != nil {
		return first, err
	}
	second, err := m.give(ctx, role, some[half:])
	return append(slices.Clone(first), second...), err
}
