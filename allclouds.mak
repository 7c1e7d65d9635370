# All places at once.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := ls
PYTHON := .venv/bin/python
.PHONY: help ls

help: ## show this list
	@tools/help.sh $(firstword $(MAKEFILE_LIST))

# AWS_REGIONS="us-west-2 eu-central-1": the regions of AWS to look at. CLOUDS_TIMEOUT: seconds to wait for a cloud (7).
ls: ## clusters of the three clouds, DynamoDB tables, this machine's mesh, and load that is still being sent
	@[ -x $(PYTHON) ] || { echo "allclouds.mak: nothing is set up yet: run make up once" >&2; exit 1; }
	@$(PYTHON) -m tools.clouds
