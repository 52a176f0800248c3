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
RACE_PACKAGES ?= ./cmd/... ./decode/... ./engine/... ./gpu/... ./kernels/cpu/... ./server/... ./store/... ./workflow/...
# How long `make fuzz` stays on each target.
FUZZTIME ?= 30s

export CGO_ENABLED := 1
# CUDA without a toolkit: the tag compiles gpu/'s binding, and its header goes before any that the machine has. Without the tag,
# plain go build ./... makes a program that computes on the processor alone.
export CGO_CFLAGS := -O2 -g -I$(CURDIR)/gpu/include
export GOFLAGS := -tags=cuda

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: deps
deps: ## install what is missing to build, test and demonstrate (Debian packages, Go modules)
	@scripts/deps.sh test

.PHONY: build
build: ## build bin/vqsd, with version and commit from git in it
	@scripts/deps.sh build
	$(GO) build -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/vqsd ./cmd/vqsd

.PHONY: emu
emu: ## build the software libcuda, and its video decoder, that GPU code is tested on: bin/emu
	@scripts/deps.sh build
	@scripts/emu.sh
	@scripts/emu-nvcuvid.sh

# The software libcuda with what its own tests take besides.
.PHONY: emu-test
emu-test: emu
	@scripts/emu.sh --test

.PHONY: demo
demo: deps build ## make a short clip and three encodes of it, measure them, leave a plot and a log in demo/
	@scripts/demo.sh

.PHONY: test
test: deps emu-test ## vet, run every test, then the race pass; fuzz targets run over their seeds
	$(GO) vet ./...
	VQSD_REQUIRE_EMULATOR=1 $(GO) test -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./...
	@$(MAKE) race

.PHONY: race
race: deps emu-test ## run the tests of the packages that share memory between goroutines under the race detector
	VQSD_REQUIRE_EMULATOR=1 $(GO) test -race -short -timeout $(TEST_TIMEOUT) $(TESTFLAGS) $(RACE_PACKAGES)

.PHONY: golden
golden: deps emu ## hold every frame of every golden pair against the software GPU; takes a quarter of an hour, `make test` takes some frames of each
	VQSD_REQUIRE_EMULATOR=1 VQSD_GOLDEN_EMULATED=all $(GO) test -count=1 -timeout 12h -run 'TestGolden_onCUDA' -v $(TESTFLAGS) ./engine

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

.PHONY: ptx
ptx: ## compile the CUDA kernels to the PTX that is committed (clang 19.1.7)
	@scripts/deps.sh ptx
	@scripts/ptx.sh

.PHONY: gpu-bundle
gpu-bundle: deps build ## put together what a machine with a GPU needs to check and time it: bin/gpu-bundle, and its tar.gz
	@scripts/gpu-bundle.sh

.PHONY: generate
generate: deps proto ptx ## rebuild what is generated and committed
	$(GO) generate ./...

.PHONY: fmt
fmt: ## format the Go code
	gofmt -w $$($(GIT) ls-files -co --exclude-standard -- '*.go')

.PHONY: clean
clean: ## remove bin/ and demo/
	rm -rf bin demo
