# Everything sets itself up: a machine needs Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
.PHONY: help run test interop conformance lint types check format clean

VENV ?= .venv
BIN := $(VENV)/bin
# The newest Python there is, from 3.11 on.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help:  ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 13

run: $(VENV)/run.stamp  ## One minute of markets that die and come back: no account, no network
	@$(BIN)/linewarden run config/demo.toml --for $(or $(SECONDS),60) --tape --no-service --log-level error

test: $(VENV)/dev.stamp  ## All tests but those of interop and conformance
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(ARGS)

interop: $(VENV)/dev.stamp  ## The venues' own SDKs against the simulators; their virtualenvs are in .venv-interop
	$(BIN)/python -m pytest -m interop tests/interop $(ARGS)

conformance: $(VENV)/dev.stamp  ## Autobahn's cases against a whole runtime, for many minutes; CASES="9.*,12.1.*" for some
	$(BIN)/python -m pytest -m conformance tests/conformance $(ARGS)

lint: $(VENV)/dev.stamp  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp  ## mypy --strict
	$(BIN)/mypy

check: lint types test interop  ## lint, types, test and interop

format: $(VENV)/dev.stamp  ## Bring the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what was set up
	rm -rf $(VENV) .venv-interop .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/python.stamp:
	@test -n "$(PYTHON)" || { echo "Linewarden needs Python 3.11 or newer, and there is none on the PATH."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@
