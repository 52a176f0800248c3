# vqsd. `make` alone lists the targets; README.md, "Building and testing", has the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

GO ?= go
# Whoever owns the checkout: root building in a user's tree must not end in git's "dubious ownership".
GIT := git -c safe.directory='*'
VERSION ?= $(shell $(GIT) describe --tags --match 'v*' --dirty 2>/dev/null || echo devel)
COMMIT ?= $(shell $(GIT) describe --always --abbrev=12 --exclude '*' --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# What the tests take beside their packages: TESTFLAGS='-v -run VIF' make test.
TESTFLAGS ?=
TEST_TIMEOUT ?= 20m
# Where goroutines share memory. Race detection slows code about tenfold, so the long golden passes stay out (-short).
RACE_PACKAGES ?= ./cmd/... ./decode/... ./engine/... ./kernels/cpu/... ./server/... ./store/... ./workflow/...
# How long `make fuzz` stays on each target.
FUZZTIME ?= 30s

export CGO_ENABLED := 1

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: deps
deps: ## install what is missing to build, test and demonstrate (Debian packages, Go modules)
	@scripts/deps.sh test

.PHONY: build
build: ## build bin/vqsd, with version and commit from git in it
	@scripts/deps.sh build
	$(GO) build -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/vqsd ./cmd/vqsd

.PHONY: demo
demo: deps build ## make a short clip and three encodes of it, measure them, leave a plot and a log in demo/
	@scripts/demo.sh

.PHONY: test
test: deps ## vet, run every test, then the race pass; fuzz targets run over their seeds
	$(GO) vet ./...
	$(GO) test -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./...
	@$(MAKE) race

.PHONY: race
race: deps ## run the tests of the packages that share memory between goroutines under the race detector
	$(GO) test -race -short -timeout $(TEST_TIMEOUT) $(TESTFLAGS) $(RACE_PACKAGES)

.PHONY: fuzz
fuzz: deps ## fuzz every target for FUZZTIME (30s) each, new inputs only; failures land in testdata/fuzz
	@FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck, shellcheck, tidy go.mod; changes nothing
	@scripts/deps.sh lint
	@scripts/lint.sh

.PHONY: bench
bench: deps ## time the kernels (ns a picture, ratio to plain) and whole measurements
	$(GO) run ./bench/kernels
	$(GO) test -run '^$$' -bench . -timeout 1h $(TESTFLAGS) ./decode ./engine

.PHONY: proto
proto: deps ## lint the API and generate its Go code
	@scripts/proto.sh

.PHONY: generate
generate: deps proto ## rebuild what is generated and committed
	$(GO) generate ./...

.PHONY: fmt
fmt: ## format the Go code
	gofmt -w $$($(GIT) ls-files -co --exclude-standard -- '*.go')

.PHONY: clean
clean: ## remove bin/ and demo/
	rm -rf bin demo
