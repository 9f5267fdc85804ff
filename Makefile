# kvraft: every target says what it does; `make help` lists them.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PROTOS := $(wildcard protos/kvraft/v1/*.proto)
PROTOC := $(BIN)/python -m grpc_tools.protoc -I protos
# What the contract must stay compatible with: the last release, or main while there is none.
BASE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet origin/main || echo main)

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.PHONY: install
install: $(VENV)/.installed ## everything into .venv, with development tools

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "kvraft needs Python 3.11 or newer (set PYTHON=...)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing kvraft into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: protos
protos: install ## make kvraft/v1 from protos/
	@tmp=$$(mktemp -d) && trap 'rm -rf $$tmp' EXIT && \
	$(PROTOC) --python_out=$$tmp --pyi_out=$$tmp --grpc_python_out=$$tmp $(PROTOS) && \
	rm -f kvraft/v1/*_pb2*.py* && cp $$tmp/kvraft/v1/* kvraft/v1/
	@test -f kvraft/v1/__init__.py || echo '"""Generated from protos/ by `make protos`. Never edited."""' > kvraft/v1/__init__.py

.PHONY: protos-check
protos-check: install ## prove that kvraft/v1 is what protos/ makes
	@tmp=$$(mktemp -d) && trap 'rm -rf $$tmp' EXIT && \
	$(PROTOC) --python_out=$$tmp --pyi_out=$$tmp --grpc_python_out=$$tmp $(PROTOS) && \
	diff -r --exclude=__init__.py --exclude=__pycache__ $$tmp/kvraft/v1 kvraft/v1 \
	|| { echo "kvraft/v1 is not current: run make protos" >&2; exit 1; }

.PHONY: protos-lint
protos-lint: install ## buf's STANDARD lint over protos/
	cd protos && ../$(BIN)/buf lint

.PHONY: protos-breaking
protos-breaking: install ## prove that clients of the last release (BASE=...) can speak with this one
	@tmp=$$(mktemp -d) && trap 'rm -rf $$tmp' EXIT && \
	git archive $(BASE) protos | tar -x -C $$tmp && \
	cd protos && ../$(BIN)/buf breaking --against $$tmp/protos

.PHONY: fmt
fmt: install ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

.PHONY: lint
lint: install ## style, format and the direction of imports; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

.PHONY: types
types: install ## mypy, strict
	$(BIN)/mypy

.PHONY: test
test: install ## every test, about 15 minutes on 2 cores
	$(BIN)/python -m pytest

SEEDS ?= 1..300

.PHONY: mail-import
mail-import: install ## import FILE=messages.jsonl.gz on real nodes while its recipients read and leaders are killed
	@$(BIN)/python -m tests.cluster.mail_import $(FILE)

.PHONY: sim
sim: install ## simulated clusters: SEED=7 replays one run with its trace (SEED='7 15': 15 s of faults), SEEDS=1..500 runs many
	@$(BIN)/python -m tests.sim $(or $(SEED),$(SEEDS))

.PHONY: mutants
mutants: install ## put known bugs in, one at a time, and see the simulator find each
	@$(BIN)/python -m tests.sim.mutants

.PHONY: crashpoints
crashpoints: install ## SIGKILL, EIO and ENOSPC at every disk call of real nodes (needs strace)
	@$(BIN)/python -m tests.crashpoints

.PHONY: powerloss
powerloss: install ## disks that a power cut could leave of real runs, opened and checked (needs strace)
	@$(BIN)/python -m tests.powerloss

MINUTES ?= 60

.PHONY: nightly
nightly: install ## every long proof, random ones for MINUTES=60 with seeds that were never tried
	@$(BIN)/python -m tests.nightly $(MINUTES)

.PHONY: demo
demo: install ## three nodes, people who write to one another, a killed leader, and a count
	$(BIN)/kvraft demo

$(VENV)/.installed-bench: $(VENV)/.installed
	@echo "installing the clients of other message queues into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.PHONY: bench
bench: install $(VENV)/.installed-bench ## ratios against a bare echo and, where installed, etcd
	$(BIN)/python -m bench

.PHONY: bench-messages
bench-messages: install $(VENV)/.installed-bench ## sends against RabbitMQ and NATS JetStream, where installed
	$(BIN)/python -m bench.peers

.PHONY: bench-latency
bench-latency: install ## messages from end to end at a steady rate, and while the leader is killed
	$(BIN)/python -m bench.latency

USERS ?= 10000 100000

.PHONY: scale
scale: install ## what does not stay flat: USERS=1000000, or several sizes
	$(BIN)/python -m bench.scale $(foreach users,$(USERS),--users=$(users))

.PHONY: check
check: lint types protos-check protos-lint protos-breaking ## all read-only checks

.PHONY: clean
clean: ## remove what was made, except data
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
