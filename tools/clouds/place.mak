# The targets that every place has. The vendor's makefile sets VENDOR and SETTINGS, the names of its settings, and includes this.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help start stop up down ls status cd
export $(SETTINGS)
CLUSTER_SH := tools/clouds/cluster.sh $(VENDOR)

help: ## show this list and the settings
	@tools/help.sh tools/clouds/place.mak
	@tools/help.sh $(firstword $(MAKEFILE_LIST))
	@echo "Settings, for example: make -f $(firstword $(MAKEFILE_LIST)) start NODES=3"
	@for name in $(SETTINGS); do printf '  %-16s  %s\n' "$$name" "$${!name}"; done

start: ## create the cluster, if there is none, and make it the place that k8s.mak works on
	@$(CLUSTER_SH) start

stop: ## delete the cluster and all of it that costs money: nodes, load balancers, volumes
	@$(CLUSTER_SH) stop

up: ## bring the nodes up to NODES
	@$(CLUSTER_SH) up

down: ## bring the nodes down to none; the cluster and what runs in it stay
	@$(CLUSTER_SH) down

ls: ## all clusters there
	@$(CLUSTER_SH) ls

status: ## this cluster and its nodes
	@$(CLUSTER_SH) status

cd: ## make this cluster the place that k8s.mak works on
	@$(CLUSTER_SH) cd
