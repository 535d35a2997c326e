# The commands of this project. `make` alone lists them.
.DEFAULT_GOAL := help

# Where `make run` puts the proxy; empty takes the first free port from 8080 on.
PORT ?=
# The site to put the proxy in front of; empty starts the demo.
UPSTREAM ?=
# Arguments for pytest (`make test ARGS=tests/config`) or for the benchmark.
ARGS ?=
export PYTHON

# Percent of lines and branches: of the policy and the messages, and of everything.
CORE_COVERAGE := 100
COVERAGE := 95

python := .venv/bin/python

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## the demo site with the proxy in front of it (UPSTREAM=http://... puts it in front of yours; PORT=...)
	@deploy/environment demo
	@exec $(python) deploy/quickstart.py $(if $(PORT),--port $(PORT)) $(if $(UPSTREAM),--upstream $(UPSTREAM))

.PHONY: test
test: ## install what the tests need and run them all (ARGS=... for pytest)
	@tests/setup
	@deploy/environment test
	$(python) -m pytest $(ARGS)

.PHONY: check
check: check-format check-lint check-types check-imports check-coverage ## everything a change must pass

.PHONY: check-environment check-format check-lint check-types check-imports check-coverage
check-environment:
	@deploy/environment dev

check-format: check-environment
	$(python) -m ruff format --check .

check-lint: check-environment
	$(python) -m ruff check .

check-types: check-environment
	$(python) -m mypy

check-imports: check-environment
	.venv/bin/lint-imports

check-coverage: check-environment
	@tests/setup
	$(python) -m coverage erase
	$(python) -m coverage run -m pytest $(ARGS)
	$(python) -m coverage combine --quiet
	$(python) -m coverage report --include='proxy/policy/*,proxy/message/*' --fail-under=$(CORE_COVERAGE)
	$(python) -m coverage report --fail-under=$(COVERAGE)

.PHONY: format
format: ## format the code and mend what the linter can
	@deploy/environment dev
	$(python) -m ruff check --fix-only --quiet .
	$(python) -m ruff format .

.PHONY: bench
bench: ## every goal for speed and memory beside its result, next to nginx, Varnish and HAProxy (ARGS=... for the benchmark)
	@deploy/environment test
	@tests/bench/install-peers
	$(python) -m tests.bench.load $(ARGS)

.PHONY: bench-micro
bench-micro: ## instructions for each exchange and step, to compare two commits by (ARGS=... for the benchmark)
	@deploy/environment test
	@tests/install-packages valgrind=valgrind
	$(python) -m tests.bench.instructions $(ARGS)

.PHONY: native
native: check-environment ## the wheel for this machine with the hot modules compiled, in dist and in .venv-native (needs a C compiler)
	$(python) deploy/native.py
	$(python) -m venv .venv-native
	.venv-native/bin/python -m pip --disable-pip-version-check install --quiet --force-reinstall --constraint deploy/requirements.lock dist/sitecache-*-cp3*.whl

.PHONY: lock
lock: ## write the locked versions anew
	deploy/lock

.PHONY: clean
clean: ## remove what these commands made
	rm -rf .venv .venv-native build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
