# The front door. Everything else is in k8s.mak (the operator's makefile) and local.mak (this machine).
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help up down console test test-cluster lint format lock

help: ## show this list
	@tools/help.sh $(firstword $(MAKEFILE_LIST))

up: ## set up what is missing, run the application in the mesh on this machine
	@tools/setup.sh
	@.venv/bin/python -m local up

down: ## stop all of it; the data stays
	@if [ -x .venv/bin/python ]; then .venv/bin/python -m local down; else echo "Nothing runs: nothing is set up."; fi

console: ## run the console alone, in the foreground: make console PROMETHEUS_URL=http://HOST:PORT [PORT=20001]
	@tools/setup.sh
	@tools/console-alone.sh

guide: ## run the exercise of docs/guide.md by itself, each step checked; STEP=by-step waits for Enter
	@tools/setup.sh
	@.venv/bin/python -m tools.guide $(if $(STEP),--$(STEP))

test: ## set up what is missing, run every test
	@tools/setup.sh --tests
	@tools/test.sh

test-cluster: ## run the exercise's tests on the cluster of the context C756_TEST_CONTEXT (docs/cluster.md)
	@tools/setup.sh --tests
	@[ -n "$(C756_TEST_CONTEXT)" ] || { echo "test-cluster: set C756_TEST_CONTEXT to a kubectl context: docs/cluster.md" >&2; exit 2; }
	@.venv/bin/python -m pytest -q tests/cluster

lint: ## ruff, mypy, shellcheck
	@tools/setup.sh --tests
	@tools/lint.sh

format: ## let ruff format the Python code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: ## pin the newest versions of all Python packages, with hashes
	@for in in local s1 s2 db tools/loader console tests; do \
	  .venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links -o $$in/requirements.txt $$in/requirements.in; done
