# Two commands on a fresh Debian machine: `make up` and `make test`. Each installs what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE ?= /var/lib/tiphys
NODES ?= 1
INSTALLED := $(VENV)/.installed
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: up down test lint unit e2e bench conformance generate install system clean

# What the node needs from the distribution; nothing is asked of the package manager when all of it is there.
system:
	@tools/install-system.sh

$(INSTALLED): pyproject.toml constraints.txt
	@tools/install-python.sh "$(PYTHON)" "$(VENV)"
	@touch $@

# Where Python is told to write no bytecode, every process would compile all that it imports at every start.
install: system $(INSTALLED)
	@$(BIN)/python -m compileall -q src

up: install
	@$(SUDO) $(BIN)/tiphys --state "$(STATE)" up --detach --nodes "$(NODES)"
	@$(SUDO) $(BIN)/tiphys --state "$(STATE)" sample

down: $(INSTALLED)
	@$(SUDO) $(BIN)/tiphys --state "$(STATE)" down

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(INSTALLED)
	$(BIN)/pytest -n 2 tests --ignore tests/e2e

e2e: install
	$(BIN)/pytest tests/e2e

test: install lint
	$(BIN)/pytest -n 2 tests --ignore tests/e2e
	$(BIN)/pytest tests/e2e

bench: install
	$(BIN)/python -m bench $(ROWS)

# SUITE: a folder with e2e.test and ginkgo (CONTRIBUTING.md says how they are built); FOCUS: a regular expression.
conformance: install
	$(SUDO) tests/conformance/run.sh "$(SUITE)" "$(FOCUS)"

generate: $(INSTALLED)
	for generator in tools/generate_*.py; do $(BIN)/python $$generator || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
