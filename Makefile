# "make help" lists the targets; what they need is installed by "make setup".

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Two processors are enough for "make test" in well under 20 minutes.
PARALLEL ?= 2
TIMEOUT  ?= 20m
PKG      ?= ./...

# The long campaign: make chaos SEED=7 DURATION=10m KILLS=100
SEED     ?= 0
DURATION ?= 10m
KILLS    ?= 100

FUZZTIME ?= 30s
GOLANGCI  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: setup
setup: ## install what tests and demo need (Debian packages), quick when present
	@hack/setup.sh

.PHONY: build
build: ## bin/replicator and bin/replctl, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

.PHONY: demo
demo: setup build ## three databases, three replicators, one minute; DEMO=--keep leaves it running
	@bin/replctl demo $(DEMO)

.PHONY: test
test: setup vet format ## everything that continuous integration runs
	$(GO) test -race -p $(PARALLEL) -timeout $(TIMEOUT) $(PKG)

.PHONY: check
check: test ## another name for test

.PHONY: vet
vet: ## go vet, with and without crash points
	$(GO) vet ./...
	$(GO) vet -tags crashpoints ./...

.PHONY: format
format: ## fail when a file is not as gofmt writes it
	@unformatted=$$(gofmt -l cmd internal applier checkpoint conflict decoder transport bench deploy); \
	test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }

.PHONY: lint
lint: ## golangci-lint with .golangci.yml
	$(GO) run $(GOLANGCI) run

.PHONY: scenario
scenario: setup ## one scenario with its story: make scenario NAME=main_job
	$(GO) test -race -count=1 -v -timeout $(TIMEOUT) -run 'TestScenarios/$(NAME)$$' ./internal/fedtest

# Fidelity, case by case: make conformance PG=14,18,14+18 CASE='values/*'
comma    := ,
PG       ?= 14,15,16,17,18,14+18,18+15
CASE     ?=
SIZE     ?=

.PHONY: conformance
conformance: setup ## every value, table and transaction on Postgres PG=14,15,14+18; writes docs/CONFORMANCE.md
	@for major in $(subst $(comma), ,$(subst +, ,$(subst :ci,,$(PG)))); do test $$major = 15 || hack/postgres.sh $$major; done
	PGFED_CONFORMANCE_PG=$(PG) PGFED_CONFORMANCE_CASE='$(CASE)' PGFED_CONFORMANCE_SIZE=$(SIZE) \
	PGFED_CONFORMANCE_DOC=$(if $(CASE)$(SIZE),,$(CURDIR)/docs/CONFORMANCE.md) \
	$(GO) test -race -count=1 -timeout 0 -run 'TestConformance$$' ./internal/conformance

SEEDS    ?= 1000
SHRINK   ?=

.PHONY: conformance-random
conformance-random: PG = 15
conformance-random: setup ## random schemas and statements from SEEDS=1000 seeds, from SEED=n on, on PG=14+18; SHRINK=1 tries less of what fails
	@for major in $(subst +, ,$(PG)); do test $$major = 15 || hack/postgres.sh $$major; done
	PGFED_RANDOM_PG=$(PG) PGFED_RANDOM_SEED=$(SEED) PGFED_RANDOM_SEEDS=$(SEEDS) PGFED_RANDOM_SHRINK=$(SHRINK) \
	$(GO) test -race -count=1 -v -timeout 0 -run 'TestRandom$$' ./internal/conformance/random

.PHONY: chaos
chaos: setup ## long campaign of kills: SEED=n DURATION=10m KILLS=100
	PGFED_CHAOS_SEED=$(SEED) PGFED_CHAOS_DURATION=$(DURATION) PGFED_CHAOS_KILLS=$(KILLS) \
	$(GO) test -race -count=1 -v -timeout 0 -run 'TestChaos$$' ./internal/fedtest

.PHONY: bench
bench: setup ## side by side with native logical replication; figures in bench/
	$(GO) run ./bench $(BENCH)

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME (30s) each
	@$(GO) list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir package; do \
		for fuzz in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir"/*_test.go 2>/dev/null); do \
			echo "== $$package $$fuzz"; \
			$(GO) test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done

.PHONY: postgres
postgres: ## other Postgres majors for tests: make postgres MAJOR=17, then PGFED_PG_MAJOR=17 make test
	@hack/postgres.sh $(MAJOR)

.PHONY: clean
clean: ## remove what build made
	rm -rf bin
