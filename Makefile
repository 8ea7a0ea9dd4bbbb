# Everything runs in a virtual environment that `setup` makes: no root, no system nginx, no Docker.
PYTHON ?= python3
VENV ?= .venv
# Where bytecode is not kept, each of the thousands of processes that tests start compiles all of its modules first.
unexport PYTHONDONTWRITEBYTECODE
BIN = $(VENV)/bin
STAMP = $(VENV)/.complete

# Number of runs per arm for `make compare`, and more arguments for its command.
REPEATS ?= 1
ARGS ?=

# Number of concurrent end-to-end tests; they mostly wait. Tests that measure run alone.
TOGETHER ?= 5

# Where the end-to-end tests are: to collect all others as well would cost each of their processes a minute.
END_TO_END = tests/e2e tests/repo/test_installation.py

# A command to run between the fast tests and the others.
BEFORE_E2E ?= true

# COVERAGE=yes measures and checks the coverage of the tests and of the processes that they start. Tests that measure are
# not traced; all others take half as long again.
COVERAGE ?=
TRACED = $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=0)

# Which container tests to run.
COMPOSE_TESTS ?= tests/compose

# The baseline of `make gate`, such as git:main; without it, only the SLOs are checked.
BASELINE ?=

.DEFAULT_GOAL := help
.PHONY: help setup compare test lint unit e2e conformance coverage compose-test bench micro oldest calibrate gate docs wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment with the pinned dependencies

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found %d.%d; set PYTHON=…" % sys.version_info[:2])'
	@echo "setting up $(VENV) (once)"
	@# Debian has ensurepip in a package of its own: without it, the pip that is there installs into the environment.
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@# Most modules of the dependencies are never imported; Python compiles the others when they are.
	@pip="$(BIN)/pip"; [ -x "$$pip" ] || pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	 $$pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements-dev.lock && \
	 $$pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

compare: $(STAMP) ## Compare naive reconnects with back-off and per-IP limits (about five minutes)
	@$(BIN)/reconnect-storm compare --repeats $(REPEATS) $(ARGS)

test: $(STAMP) ## Check style and types, and run all tests except those in containers
	@$(MAKE) --no-print-directory -j2 lint unit
	@$(BEFORE_E2E)
	@$(MAKE) --no-print-directory e2e conformance
	@$(if $(COVERAGE),$(MAKE) --no-print-directory coverage,true)

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(STAMP) ## Run the fast tests
	COVERAGE_FILE=.coverage.unit $(BIN)/pytest -m "not e2e and not compose and not conformance" -n 2 --dist worksteal $(TRACED)

e2e: $(STAMP) ## Run the tests on real nginx, pods and clients
	COVERAGE_FILE=.coverage.e2e $(BIN)/pytest -m "e2e and not measures" -n $(TOGETHER) --dist loadfile --no-loadscope-reorder $(TRACED) $(END_TO_END)
	$(BIN)/pytest -m "e2e and measures" $(END_TO_END)

conformance: $(STAMP) ## Compare the models of stock clients with the real libraries; needs Node, see .ci/node
	$(BIN)/pytest -m conformance -n 2 tests/conformance

coverage: $(STAMP) ## Report the coverage of `make unit e2e COVERAGE=yes`; fails if it is lower than fail_under
	@$(BIN)/coverage combine --quiet --keep
	@$(BIN)/coverage report

compose-test: $(STAMP) ## Run the stack in containers; needs a Docker engine, see .ci/engine
	$(BIN)/pytest -m compose $(COMPOSE_TESTS)

bench: $(STAMP) ## Measure the load generator itself (about two minutes)
	@$(BIN)/reconnect-storm bench $(ARGS)

oldest: ## Run the fast tests with the oldest dependencies that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-oldest && $(PYTHON) tools/oldest.py >.venv-oldest/constraints.txt
	.venv-oldest/bin/pip install --quiet --disable-pip-version-check -c .venv-oldest/constraints.txt -e ".[dev]"
	@# Figures in generated pages are those of the newest matplotlib.
	.venv-oldest/bin/pytest -m "not e2e and not compose and not conformance" -n 2 --deselect tests/repo/test_docs.py

micro: $(STAMP) ## Benchmark the hot functions and the slow ones (half a minute)
	$(BIN)/pytest tests/bench --benchmark-enable --benchmark-sort=name $(ARGS)

calibrate: $(STAMP) ## Self-test: inject known values and check the measurements (about six minutes)
	@$(BIN)/reconnect-storm calibrate --aa $(ARGS)

gate: $(STAMP) ## Has a change made the storm worse? By the SLOs (a minute), or against BASELINE=git:REF (four)
	@$(BIN)/reconnect-storm gate $(if $(BASELINE),--baseline "$(BASELINE)") $(ARGS)

docs: $(STAMP) ## Write the pages of docs/ that come from the code
	@$(BIN)/python -m tools.pages

wheel: $(STAMP) ## Build the source distribution and the wheel, into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove the virtual environment and caches; runs/ stays
	rm -rf $(VENV) .venv-oldest dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* *.egg-info
