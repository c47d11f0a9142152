// Package tasks lists every task that a plan may use.
package tasks

import (
	"time"

	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/auth0"
	"github.com/medlogistics/phasegate/tasks/gate"
	"github.com/medlogistics/phasegate/tasks/host"
	"github.com/medlogistics/phasegate/tasks/postgres"
	"github.com/medlogistics/phasegate/tasks/schema"
	"github.com/medlogistics/phasegate/tasks/service"
	"github.com/medlogistics/phasegate/tasks/web"
)

// All returns the list. Adding a task is adding a line: its name, what it may
// do, its defaults, and its traits.
func All() task.Set { //nolint:funlen // one row a task, no branches
	return task.NewSet(
		task.Look("host/disk", &host.Disk{}, task.Waits),
		task.Of("host/command", &host.Command{}, task.Waits),
		task.Look("web/check", &web.Check{Status: 200, Timeout: 10 * time.Second}, task.Waits),
		task.Gate("web/metric", &web.Metric{Timeout: 10 * time.Second}, task.Waits),

		task.Look("postgres/ready", &postgres.Ready{FreeConnections: 5}),
		task.Look("postgres/backup", &postgres.Backup{
			Level: postgres.Full, KeepDays: 30, Reserve: 1e9, LockWait: time.Minute, CopyRegion: "us-east-1",
		}, task.Copies),
		task.Of("postgres/stage", &postgres.Stage{Method: postgres.Auto, Wait: 30 * time.Second}, task.Retryable),
		task.Of("postgres/swap", &postgres.Swap{Timeout: 10 * time.Second}, task.Retryable),
		task.Of("postgres/restore", &postgres.RestoreInPlace{LockWait: 30 * time.Second}, task.Alters),
		task.Of("postgres/tidy", &postgres.Tidy{}, task.Retryable),
		task.Look("postgres/salvage", &postgres.Salvage{LockWait: time.Minute}),
		task.Of("postgres/replay", &postgres.Replay{Batch: 500, LockWait: 10 * time.Second}, task.Alters),
		task.Look("postgres/assert", &postgres.Assert{Rows: -1, Timeout: time.Minute}),

		task.Look("schema/status", &schema.Status{}),
		task.Look("schema/lint", &schema.Lint{}),
		task.Look("schema/rehearse", &schema.Rehearse{Copy: "auto", StatementTimeout: 15 * time.Minute}),
		task.Of("schema/apply", &schema.Apply{
			LockTimeout: 100 * time.Millisecond, LockTries: 150, StatementTimeout: 15 * time.Minute,
		}, task.Alters),
		task.Of("schema/revert", &schema.Revert{
			LockTimeout: 100 * time.Millisecond, LockTries: 150, StatementTimeout: 15 * time.Minute,
		}, task.Alters),

		task.Of("service/stop", &service.Stop{Timeout: time.Minute}, task.Retryable, task.Waits),
		task.Of("service/start", &service.Start{Timeout: 5 * time.Minute}, task.Retryable, task.Waits),
		task.Of("service/restart", &service.Restart{Timeout: 5 * time.Minute}, task.Retryable, task.Waits),
		task.Look("service/healthy", &service.Healthy{Timeout: 10 * time.Second}, task.Waits),

		task.Of("auth0/tenant", &auth0.Tenant{Access: auth0.Access{Share: 0.8}, Wait: 2 * time.Minute}),
		task.Look("auth0/drift", &auth0.Drift{Access: auth0.Access{Share: 0.8}}),
		task.Look("auth0/ready", &auth0.Ready{Access: auth0.Access{Share: 0.8}}),
		task.Of("auth0/import-users", &auth0.ImportUsers{
			Access: auth0.Access{Share: 0.8}, Method: auth0.Auto,
			Workers: 8, Batch: 250, Patience: 15 * time.Minute, JobTimeout: 2 * time.Hour,
		}, task.Alters, task.Retryable),
		task.Look("auth0/verify-users", &auth0.VerifyUsers{Access: auth0.Access{Share: 0.8}, Listing: auth0.Listing{JobTimeout: 2 * time.Hour}}),
		task.Of("auth0/remove-users", &auth0.RemoveUsers{
			Access: auth0.Access{Share: 0.8}, Listing: auth0.Listing{JobTimeout: 2 * time.Hour}, Workers: 8,
		}, task.Alters, task.Retryable),
		task.Of("auth0/reset-passwords", &auth0.ResetPasswords{Access: auth0.Access{Share: 0.8}, Over: 4 * time.Hour}),
		task.Gate("auth0/reset-progress", &auth0.ResetProgress{
			Access: auth0.Access{Share: 0.8}, Listing: auth0.Listing{JobTimeout: 2 * time.Hour}, MinDone: 1,
		}),
		task.Of("auth0/sample-login", &auth0.SampleLogin{Access: auth0.Access{Share: 0.8}}, task.Retryable),

		task.Gate("gate/approval", &gate.Approval{Word: "approve", Min: 1, Expires: 24 * time.Hour}, task.Asks, task.Waits),
		task.Gate("gate/assert", &gate.Assert{}, task.Waits),
		task.Gate("gate/checklist", &gate.Checklist{Word: "yes"}, task.Asks, task.Waits),
		task.Gate("gate/rehearsed", &gate.Rehearsed{Within: task.Age(7 * 24 * time.Hour)}),
		task.Gate("gate/window", &gate.Window{}, task.Waits),
	)
}
