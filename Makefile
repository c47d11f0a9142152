# The targets that people call have a comment behind them, which `make help`
# prints. Prerequisites are installed by scripts/setup, quietly when all is there.

export PATH := $(PATH):/usr/local/go/bin

LINT := go tool -modfile=tools/go.mod golangci-lint
ACTIONLINT := go tool -modfile=tools/actionlint/go.mod actionlint -shellcheck= -pyflakes=

# The version in the binary is git's, where git answers for this directory.
VCS := $(shell git rev-parse --verify --quiet HEAD >/dev/null 2>&1 && echo true || echo false)

.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing (PostgreSQL 15 or newer) and say so
	@scripts/setup go postgresql

demo: setup build ## Rehearse the MedLogistics cut-over, then a failure and its rollback
	bin/phasegate rehearse plans/auth0-migration.yaml --users 500

test: setup ## Run the tests
	@scripts/setup ssh age curl pgbouncer
	go test -timeout 15m ./...

check: setup lint race ## Check format, style, generated files and modules, and test with the race detector

lint:
	$(LINT) run
	$(ACTIONLINT) .github/workflows/*.yml
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build ./...
	go mod tidy -diff
	cd tools/peers && go mod tidy -diff && go vet ./...
	go run ./internal/reference -diff

race:
	@scripts/setup gcc ssh age curl pgbouncer
	CGO_ENABLED=1 go test -race -timeout 45m ./...

bench: setup ## Run the benchmarks: ratios to the like, docs/benchmarks.md has them
	@scripts/setup peers
	go test -run '^$$' -bench . -benchmem -timeout 90m ./...
	PHASEGATE_SOAK=1 go test -run '^TestCreateUsesWhatEachPlanAllows$$' -v ./tasks/auth0
	cd tools/peers && go test -run '^$$' -bench . -timeout 30m ./...

soak: setup ## Run the long tests too
	@scripts/setup ssh age curl pgbouncer
	PHASEGATE_SOAK=1 go test -timeout 120m -skip '^Test(Sweep|TheSDKsOwn|BodiesAre|WhatTheTasks)' ./...
	PHASEGATE_SOAK=1 go test -timeout 30m -v -run '^Test(RecordedTraffic|TheSDKsOwn|BodiesAre|WhatTheTasks)' ./internal/sandbox/auth0 ./tasks/auth0
	PHASEGATE_SOAK=1 go test -timeout 60m -v -run '^TestSweep' ./internal/cli

generate: ## Rewrite docs/tasks.md and the JSON schemas from the sources
	@scripts/setup go
	go run ./internal/reference

build: ## Build bin/phasegate, static
	@scripts/setup go
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -ldflags '-s -w' -o bin/phasegate .

clean: ## Remove what was built
	rm -rf bin

.PHONY: help setup demo test check lint race bench soak generate build clean
