# This machine as the place to run. k8s.mak has the operator's targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
STATE := $(or $(C756_STATE),.state)
PYTHON := .venv/bin/python
.PHONY: help start stop up down ls status cd fields scratch tables data

help: ## show this list
	@tools/help.sh $(firstword $(MAKEFILE_LIST))

start up: ## run the mesh and the application, as `make up`
	@$(MAKE) --no-print-directory up

stop down: ## stop it; the data stays
	@$(MAKE) --no-print-directory down

ls: ## the mesh on this machine, if it runs
	@$(PYTHON) -m local status || [ $$? = 3 ]

status: ## the same, and all pods
	@$(PYTHON) -m local status
	@local/bin/kubectl get pods -A

cd: ## make this machine the place that k8s.mak works on
	@echo local >.place && echo "The place in use is now this machine."

fields: ## kinds and fields of manifests that have no effect on one machine, with the reasons
	@$(PYTHON) -m local fields

scratch: ## stop it and delete its data
	@$(PYTHON) -m local scratch

tables: # make the DynamoDB tables; part of `make up`
	@$(PYTHON) -m local tables

data: # load the sample data where it is not loaded yet; part of `make up`
	@stamp=$(STATE)/data.sha256; want=$$(cat gatling/data/*.csv | sha256sum); \
	if [ "$$(cat $$stamp 2>/dev/null)" != "$$want" ]; then \
	  PLACE=local $(MAKE) --no-print-directory -f k8s.mak loader && echo "$$want" >$$stamp; fi
