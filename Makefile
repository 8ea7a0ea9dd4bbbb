# Everything runs in a virtual environment that `setup` makes: no root, no system nginx, no Docker.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.complete

# How many runs of each arm `make compare` makes, and anything else for the command line.
REPEATS ?= 1
ARGS ?=

# How many end-to-end tests run at once; they mostly wait. Those that measure run alone.
TOGETHER ?= 4

# A command for between the fast tests and the others.
BEFORE_E2E ?= true

# What `make gate` compares with, such as git:main; without it, only the objectives count.
BASELINE ?=

.DEFAULT_GOAL := help
.PHONY: help setup compare test lint unit e2e compose-test bench micro calibrate gate docs clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment with the pinned dependencies

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found %d.%d; set PYTHON=…" % sys.version_info[:2])'
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

compare: $(STAMP) ## Compare naive reconnects with back-off and per-IP limits (about five minutes)
	@$(BIN)/reconnect-storm compare --repeats $(REPEATS) $(ARGS)

test: $(STAMP) ## Check style and types, and run all tests
	@$(MAKE) --no-print-directory -j2 lint unit
	@$(BEFORE_E2E)
	@$(MAKE) --no-print-directory e2e

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(STAMP) ## Run the fast tests; pure modules must be fully covered
	$(BIN)/pytest -m "not e2e and not compose" -n 2 --cov --cov-report=term-missing:skip-covered

e2e: $(STAMP) ## Run the tests on real nginx, pods and clients
	$(BIN)/pytest -m "e2e and not measures" -n $(TOGETHER) --dist loadfile
	$(BIN)/pytest -m "e2e and measures"

compose-test: $(STAMP) ## Run the stack in containers; needs a Docker engine, see .ci/engine
	$(BIN)/pytest -m compose tests/compose

bench: $(STAMP) ## Measure the load generator itself (about two minutes)
	@$(BIN)/reconnect-storm bench $(ARGS)

micro: $(STAMP) ## Time the functions that run most often, or that somebody waits for (half a minute)
	$(BIN)/pytest tests/bench --benchmark-enable --benchmark-sort=name $(ARGS)

calibrate: $(STAMP) ## Read known delays, refusals, CPU, drops and staleness back, and compare A with A (about six minutes)
	@$(BIN)/reconnect-storm calibrate --aa $(ARGS)

gate: $(STAMP) ## Has the storm got worse? By the objectives (a minute), or against BASELINE=git:REF (four)
	@$(BIN)/reconnect-storm gate $(if $(BASELINE),--baseline "$(BASELINE)") $(ARGS)

docs: $(STAMP) ## Write the pages of docs/ that come from the code
	@$(BIN)/python -m scenarios.docs

clean: ## Remove the virtual environment and caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
