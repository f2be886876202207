# Everything a fresh machine needs is installed by these targets: Go modules by
# the go command, engine libraries and JavaScript clients by npm (pinned in lock
# files), libffi by Debian's package manager where it is missing.

SHELL    := /bin/bash
GO       ?= go
CACHE    := $(CURDIR)/.cache
OMX      := bin/omx
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
export OMX_ENGINE_DIR := $(CACHE)/engine

.PHONY: run test check build engine clients compiler policies bench soak fuzz clean help

help:            ## Show the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

run: build engine ## Start a three-node mesh here, ask it a question, leave it running
	$(OMX) testnet up --nodes 3 --ask "What is omx?"

test: build engine clients compiler check ## Everything: static checks, all tests with the race detector, end to end
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 9m ./...
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 4m . ./cmd/... ./wasm/... ./node/decide/... ./node/engine/gguf

check:           ## Quick static checks
	@test -z "$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go'))" || { gofmt -l $$(git ls-files -co --exclude-standard '*.go'); echo "run: gofmt -w ."; exit 1; }
	$(GO) vet ./...

build:           ## Build bin/omx: static apart from the C library, no cgo
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags="$(LDFLAGS)" -o $(OMX) ./cmd/omx

engine: build libffi ## Install the engine libraries for the CPU (pinned, verified)
	$(OMX) engine install --backend cpu --dir $(OMX_ENGINE_DIR)

.PHONY: libffi
libffi:
	@ldconfig -p | grep -q 'libffi\.so\.8' || { echo "installing libffi8"; apt-get install -y libffi8 || { apt-get update && apt-get install -y libffi8; }; }

# node_modules is up to date when npm's own record is newer than the lock file.
NPM_CI = cd $(1) && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund; }

clients:         ## Install the JavaScript and Go clients that the tests talk with; the Go ones compile for minutes, once
	$(call NPM_CI,node/api/testdata/clients)
	cd node/api/testdata/goclients && CGO_ENABLED=0 $(GO) build -o /dev/null .

compiler:        ## Install the compiler of the built-in policies; a test rebuilds and compares them
	$(call NPM_CI,policies)

policies: compiler ## Rebuild the built-in policies and the corpus
	cd policies && npm run --silent build

bench: build engine ## Measure and rewrite BENCHMARKS.md
	$(OMX) bench report --out BENCHMARKS.md

SEEDS ?= 2000
soak:            ## Play SEEDS seeds of the virtual testnet, 1,000 nodes at once; for a quiet machine
	set -o pipefail; OMX_SOAK=1 OMX_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout 60m -v ./testnet/virtual | grep -v '^=== \|--- PASS: TestScenarios/'

fuzz:            ## Fuzz every decoder, 20 s each
	@set -e; for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 20s $$p; done; done

clean:           ## Remove what the build made
	rm -rf bin .cache
