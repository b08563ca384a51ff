# `make run` and `make test` are all a newcomer needs; the rest is listed by
# `make help`. Every target works as root and as an ordinary user; as root,
# missing Debian packages are installed, otherwise they are named.
SHELL := /bin/bash
.DEFAULT_GOAL := build
export CGO_ENABLED ?= 0
export GOFLAGS ?= -buildvcs=false
GO := go
VERSION ?= $(shell sed -n 's/^\#\# \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
LIBEXEC ?= /usr/lib/sallyport
LDFLAGS = -s -w -X sallyport/internal/version.Version=$(VERSION) -X main.libexec=$(LIBEXEC)
GOLANGCI := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
COUNT ?= 1

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile packaging/packages.mk 2>/dev/null | sort | expand -t 16

.PHONY: build
build: ## the daemon and its workers, into bin/
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sallyport ./cmd/master
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/session ./cmd/authd ./cmd/files ./cmd/owner ./cmd/netd ./cmd/ftpdctl
	@if [ -e /usr/include/security/pam_appl.h ] && command -v gcc >/dev/null; then \
	  CGO_ENABLED=1 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/pam ./cmd/pam; \
	else echo "bin/pam not built: libpam0g-dev and gcc are missing (file and unix accounts work without)"; fi
	@chmod 0711 bin/session bin/files

.PHONY: run
run: build ## serve demo users on a free loopback port until Ctrl-C
	@test/run/demo.sh

.PHONY: deps
deps: ## the Debian packages the tests use (root installs, others are told)
	@test/run/deps.sh

# --- the gate -----------------------------------------------------------------
.PHONY: test
test: ## everything, with reduced counts, under 20 minutes on two cores
	@$(GO) run ./test/gate

.PHONY: unit
unit: ## unit tests and fuzz seeds
	$(GO) test -count=$(COUNT) ./ipc/... ./shm/... ./internal/... ./cmd/... ./test/layers/...

.PHONY: race
race: ## the same under the race detector
	CGO_ENABLED=1 $(GO) test -race -count=$(COUNT) ./ipc/... ./shm/... ./internal/...

.PHONY: lint
lint: ## golangci-lint, gofumpt
	$(GOLANGCI) run ./...

.PHONY: hostile
hostile: build ## hostile session and files workers against the real sandbox
	$(GO) test -count=$(COUNT) ./test/hostile/...

.PHONY: clients
clients: build ## real FTP clients against the real daemon
	$(GO) test -count=$(COUNT) -timeout 20m ./test/clients/...

.PHONY: network
network: build ## packet filters, routers and shared stores, in namespaces of their own
	$(GO) test -count=$(COUNT) -timeout 20m ./test/network/... ./test/share/...

.PHONY: lives
lives: ## the packages' lives in a booted systemd, lintian, rpmlint
	test/packages/run.sh

.PHONY: mutants
mutants: ## remove each guard, see its test fail
	test/mutants/run.sh

.PHONY: fuzz
FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME
	test/run/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## ours beside vsftpd, ProFTPD and Pure-FTPd, in interleaved rounds
	$(GO) run ./test/bench

.PHONY: leak
LEAK ?=
leak: build ## what the time of a login tells, ours and the peers' (LEAK="-n 100 -only REGEXP")
	$(GO) run ./test/leak $(LEAK)

.PHONY: differential
differential: build ## the same sessions against ProFTPD and ours
	$(GO) run ./test/differential

.PHONY: soak
soak: build ## long runs: bad input, thousands of connections, memory
	SALLYPORT_SOAK=1 $(GO) test -count=1 -timeout 60m ./test/clients/... ./test/abuse/...

.PHONY: clean
clean: ## what the build made
	rm -rf bin dist

-include packaging/packages.mk
