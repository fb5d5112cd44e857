# Everything sets itself up: a machine needs Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
.PHONY: help run picture test interop dist bench bench-quick bench-against peers conformance chaos soak lint types check format clean outages network long fuzz mutants audit

VENV ?= .venv
BIN := $(VENV)/bin
# The newest Python there is, from 3.11 on.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 15

run: $(VENV)/run.stamp  ## One minute of simulated markets whose connections are cut and restored: no account, no network
	@echo "Watch: every 5 to 11 s each simulated venue cuts its connections. The lines reconnect, and each lost stretch is a gap."
	@$(BIN)/linewarden run config/demo.toml --duration $(or $(SECONDS),60) --show-events --no-service --log-level error

picture: $(VENV)/dev.stamp  ## Draw the terminals in docs/pictures; that of make run from SECONDS=20 of the demo
	@$(BIN)/python -m tests.pictures $(or $(SECONDS),20)

test: $(VENV)/dev.stamp  ## All tests except those with a target of their own
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal $(ARGS)

chaos: $(VENV)/dev.stamp  ## Faults from SEEDS=1,2,3 or SEEDS=x20 over ROUNDS=50: counters reconcile, no stream is silent, no order twice
	$(BIN)/python -m pytest tests/stories/test_chaos.py tests/stories/test_order_chaos.py tests/stories/test_silence_hunter.py -v --seeds $(or $(SEEDS),x10) --rounds $(or $(ROUNDS),30) $(ARGS)

soak: $(VENV)/dev.stamp  ## All four venues for MINUTES=2 under faults from SEED=1: counters, threads, memory
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),2) --seed $(or $(SEED),1) $(ARGS)

interop: $(VENV)/dev.stamp  ## The venues' own SDKs against the simulators; their virtualenvs are in .venv-interop
	$(BIN)/python -m pytest -m interop tests/interop $(ARGS)

bench: $(VENV)/dev.stamp  ## All benchmarks, beside the venues' SDKs: about an hour; writes a file to benchmarks/results
	$(BIN)/python -m benchmarks everything

bench-quick: $(VENV)/dev.stamp  ## Half a minute: at least half of the recorded speed, relative to a raw loop; nothing is lost
	$(BIN)/python -m benchmarks quick

bench-against: $(VENV)/dev.stamp  ## Compare with COMMIT in alternating ROUNDS=7; SHAPES="o2,alpaca" for some: 2 minutes each
	$(BIN)/python -m benchmarks against $(COMMIT) --rounds $(or $(ROUNDS),7) $(if $(SHAPES),--shapes $(SHAPES))

conformance: $(VENV)/dev.stamp  ## Autobahn's cases against a whole runtime, for many minutes; CASES="9.*,12.1.*" for some
	$(BIN)/python -m pytest -m conformance tests/conformance $(ARGS)

peers: $(VENV)/dev.stamp  ## Four faults, beside other libraries: about six minutes; writes docs/peers.md
	$(BIN)/python -m benchmarks reliability

outages: $(VENV)/dev.stamp  ## The outage grid: every kind of outage, up to an hour, at every venue
	$(BIN)/python -m pytest -m "outages or not outages" tests/stories/test_outages.py \
		--numprocesses 4 --dist worksteal $(ARGS)

network: $(VENV)/dev.stamp  ## Black holes, loss, a small MTU, mute name servers, in network namespaces where they are allowed
	$(BIN)/python -m pytest -m network tests/network --numprocesses 2 $(ARGS)

long: $(VENV)/dev.stamp  ## The long forms of tests that have a short one: a thousand drops, more orders of threads, more examples
	$(BIN)/python -m pytest -m "long or (hypothesis and not interop and not conformance and not outages and not network)" \
		--hypothesis-profile thorough --numprocesses 2 $(ARGS)

# Each target for SECONDS; TARGETS="frames o2" for some of them. Findings are in .fuzz/.
fuzz: $(VENV)/dev.stamp  ## Fuzz the readers of outside bytes with atheris: SECONDS for each target
	@$(PIP) install atheris || { echo "atheris cannot be installed here: it has wheels for Linux and some Pythons only."; exit 1; }
	@for target in $(or $(TARGETS),$$($(BIN)/python -c 'from tests.fuzz.targets import TARGETS; print(*TARGETS)')); do \
		echo "$$target:"; $(BIN)/python -m tests.fuzz $$target $(or $(SECONDS),60) || exit 1; done

# For an hour or more, with one process. Changes that no test noticed are in .mutants/survivors.txt.
mutants: $(VENV)/dev.stamp  ## Mutate the rules with mutmut: their tests must notice; FILES="rules/line.py" for some
	@$(PIP) install 'mutmut==3.8.*'
	$(BIN)/python -m tests.mutants $(FILES)

dist: $(VENV)/dev.stamp  ## Make the source archive and the wheel, in dist/
	$(BIN)/python -m build --outdir dist .

lint: $(VENV)/dev.stamp  ## ruff: rules and format; bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive actors examples

types: $(VENV)/dev.stamp  ## mypy --strict
	$(BIN)/mypy

check: lint types test bench-quick interop  ## lint, types, test, bench-quick and interop

# pip-audit asks a service; if that cannot be reached, it prints a traceback and no finding.
audit: $(VENV)/dev.stamp  ## Known vulnerabilities of the dependencies, by pip-audit; it needs its advisory service
	@$(PIP) install pip-audit
	@found="$$($(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off \
		2>$(VENV)/audit.log)" && echo "No known vulnerabilities." || \
		{ if [ -n "$$found" ]; then echo "$$found"; exit 1; fi; \
		echo "pip-audit could not ask its advisory service: nothing is known. See $(VENV)/audit.log."; }

format: $(VENV)/dev.stamp  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what was set up
	rm -rf $(VENV) .venv-interop .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .mutants

$(VENV)/python.stamp:
	@test -n "$(PYTHON)" || { echo "Linewarden needs Python 3.11 or newer, and there is none on the PATH."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version). This takes a minute or two."
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@
