# Everything that a developer or CI does with this checkout. `make help` lists it.
# What it makes lies in .venv, .engine and .sandbox, which git ignores; nothing else on the machine is touched, but for
# system packages that are named before they are installed.

VENV := .venv/bin

# The first Python 3.11 or newer, asked only when there is no .venv yet.
FIND_PYTHON = for python in $(VENV)/python python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
	echo "setup: Python 3.11 or newer is needed, and none is on PATH. Install it and run this again:" >&2; \
	echo "  Debian, Ubuntu   apt-get install python3 python3-venv   (if that one is older: uv python install 3.13)" >&2; \
	echo "  macOS            brew install python" >&2; \
	echo "  others           https://www.python.org/downloads/" >&2; \
	exit 1; fi

.PHONY: help setup venv engine services flyctl demo demo-migration sandbox test check bench lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
	printf '%-16s %s\n' "$$name" "$$text"; done

setup: venv engine services ## Make everything ready: .venv, the Pulumi engine, Postgres and Redis
	@:

venv:
	@$(FIND_PYTHON); "$$python" -m bootstrap.venv

engine: venv ## See that .engine/bin holds a Pulumi engine; fetched, or built once (about 4 minutes)
	@$(VENV)/python -m engine.install

services: venv
	@$(VENV)/python -m bootstrap.services

flyctl: venv ## See that .engine/flyctl/bin holds the real fly; built once (about 2 minutes)
	@$(VENV)/python -m engine.flyctl

demo: setup ## The outage, seen by `pulumi preview` and mended by `pulumi up`
	@$(VENV)/python -m sandbox.demo

demo-migration: setup ## A new image with its schema, migrated in a window; and one that fails
	@$(VENV)/python -m sandbox.migration_demo

sandbox: setup ## Start a Fly on this machine, and say how to use `pulumi` against it
	@$(VENV)/hotdash sandbox up

# Tests wait more than they compute, so there is one worker more than there are cores. A module stays with one worker,
# because its tests share a sandbox.
test: setup flyctl ## Run the tests, against real engines, databases and flyctl
	@$(VENV)/python -m bootstrap.services --tests
	@$(VENV)/pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadscope

check: setup ## Look for mistakes without running anything: ruff, mypy, import contracts
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@$(VENV)/lint-imports

bench: setup ## Measure, and compare with the targets
	@$(VENV)/python -m bench

lock: ## Lock the requirements again from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@$(FIND_PYTHON); "$$python" -m bootstrap.lock $(UPGRADE)

clean: ## Stop the sandbox and remove everything that was made here, the engine too
	@if [ -x $(VENV)/hotdash ] && [ -d .sandbox ]; then echo "clean: stopping the sandbox"; $(VENV)/hotdash sandbox down || true; fi
	@echo "clean: removing .venv .engine .sandbox artifacts and caches"
	@rm -rf .venv .engine .sandbox artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
