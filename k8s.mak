# The operator's makefile: the same targets on a cluster and on one machine.
# The place in use is chosen by `make -f local.mak cd` (or that of another place) and shown by `showcontext`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Your GitHub ID: owner of the images and suffix of the DynamoDB tables.
REGID ?= c756
# Container registry.
CREG ?= ghcr.io
# Version of S2 that the targets s2 and image-s2 are about.
S2_VER ?= v1
# The image that the target cr builds: s1, s2, db, loader or console.
SVC ?= s2
# How long a rollout may take.
TIMEOUT ?= 90s
# one machine: local; a cluster: the name of its kubectl context.
PLACE ?= $(shell cat .place 2>/dev/null || echo local)
export REGID CREG PLACE

NS := c756ns
OWNER := $(shell echo '$(REGID)' | tr '[:upper:]' '[:lower:]')
# Not by MAKEFLAGS: with -e the environment's wins.
SUB := $(MAKE) --no-print-directory -f k8s.mak
KUBECTL := tools/kubectl
HELM := tools/helm

ifeq ($(PLACE),local)
STATE := $(or $(C756_STATE),.state)
# A log per built image: while it is there, the image is not built again. They go with the images.
LOGS := $(STATE)/log/images
PLACE_VALUES := -f charts/c756/values-one-machine.yaml -f $(STATE)/values.yaml
else
LOGS := logs/images/$(subst /,_,$(PLACE))
# Always, because a rebuilt image keeps its tag; a build command of one's own may load into the nodes instead.
PULL_POLICY ?= $(if $(IMAGE_BUILD),IfNotPresent,Always)
export PULL_POLICY
PLACE_VALUES = --set image.pullPolicy=$(PULL_POLICY)
endif

# More values for the chart, for example -f charts/c756/values-production.yaml.
HELM_FLAGS ?=
# Make gives its variables to the recipes' commands, but before 4.4 not to those of $(shell).
digest = $(shell PLACE='$(PLACE)' tools/digest.sh $(LOGS)/$(1).log $(or $(3),$(NS)) $(2))
comma := ,
# true: with the console. A cluster has Kiali and Grafana, or else `make -f k8s.mak console`, which stays then.
ifeq ($(PLACE),local)
CONSOLE ?= true
else
CONSOLE ?= $(shell PLACE='$(PLACE)' tools/console.sh)
endif
CHART_VALUES = $(PLACE_VALUES) --set-string regid=$(REGID) --set image.registry=$(CREG) \
  --set s1.imageDigest=$(call digest,cmpt756s1-v1,cmpt756s1),db.imageDigest=$(call digest,cmpt756db-v1,cmpt756db) \
  --set loader.imageDigest=$(call digest,c756-loader-v1,c756-loader) \
  $(if $(filter true,$(CONSOLE)),--set console.enabled=true$(comma)console.imageDigest=$(call digest,c756-console-v1,c756-console,c756-console)) \
  $(HELM_FLAGS) $(MORE_VALUES)

.PHONY: help provision deploy reach values namespace reinstate secrets chart gw monitoring s1 s2 s2-release db loader health-off clean scratch \
  check cri cr image-s1 image-s2 image-db image-loader image-console console rollout rollout-s1 rollout-s2 rollout-db ls lsa lsd \
  log-s1 log-s2v1 log-s2v2 log-db shell-s1 shell-s2v1 shell-s2v2 shell-db \
  showcontext extern dashboard kiali-url grafana-url prometheus-url dynamodb-init dynamodb-clean ls-tables

help: ## show this list
	@tools/help.sh $(firstword $(MAKEFILE_LIST))

# --- All of it -------------------------------------------------------------------------------------------
provision: ## install what the cluster lacks (Istio, Prometheus and Grafana, Kiali), then deploy
	@tools/provision.sh
	@$(SUB) deploy

deploy: reach check values image-s1 image-db image-s2 namespace secrets ## namespace, secrets, chart and one version of S2
	@$(SUB) chart s2

# Before anything is built or changed: the place answers and has Istio, and the chart takes the values.
reach:
	@tools/reach.sh --istio
values: | reach
	@$(HELM) template c756 charts/c756 -n $(NS) $(CHART_VALUES) >/dev/null

reinstate: namespace secrets ## put the namespace and its injection back after scratch
namespace: | reach
	@$(KUBECTL) apply -f cluster/namespace.yaml

secrets:
	@tools/secrets.sh $(NS)

# With the images, so that a missing build log is no change of the pods.
chart: image-s1 image-db
	@if [ "$(CONSOLE)" = true ]; then $(SUB) image-console; fi
	@$(HELM) upgrade --install c756 charts/c756 -n $(NS) $(CHART_VALUES)
	@$(SUB) rollout-s1 rollout-db
	@if [ "$(CONSOLE)" = true ]; then tools/rollout.sh c756-console c756-console $(TIMEOUT); fi

gw: reach check chart ## deploy the chart, and show the gateway
	@$(KUBECTL) -n $(NS) get gateways,virtualservices

monitoring: reach check chart ## deploy the chart, and show what Prometheus is to scrape
	@$(KUBECTL) -n $(NS) get servicemonitors

console: reach check image-console ## build and deploy the console, where there is no Kiali and no Grafana
	@CONSOLE=true $(SUB) chart
	@tools/url.sh kiali

s1: reach check values image-s1 chart ## build and deploy S1 (users)

db: reach check values image-db chart ## build and deploy the gateway to DynamoDB

s2: reach ## build S2_VER of S2, deploy it, then send the traffic as cluster/s2-vs-$(S2_VER).yaml says
	@tools/check.sh cluster/s2-dpl-$(S2_VER).yaml cluster/s2-vs-$(S2_VER).yaml
	@$(SUB) image-s2
	@tools/manifest.sh cluster/s2-dpl-$(S2_VER).yaml "$$(tail -n 1 $(LOGS)/cmpt756s2-$(S2_VER).log)" | $(KUBECTL) -n $(NS) apply -f -
	@$(SUB) rollout-s2
	@$(KUBECTL) -n $(NS) apply -f cluster/s2-vs-$(S2_VER).yaml

s2-release: reach ## build v2 of S2, deploy it, and release it to all users step by step, unless it does harm
	@tools/release.py rollback
	@tools/release.py check
	@S2_VER=v2 $(SUB) -e image-s2
	@tools/manifest.sh cluster/s2-dpl-v2.yaml "$$(tail -n 1 $(LOGS)/cmpt756s2-v2.log)" | $(KUBECTL) -n $(NS) apply -f -
	@$(KUBECTL) -n $(NS) rollout status deploy/cmpt756s2-v2 --timeout=$(TIMEOUT)
	@tools/release.py

loader: reach values image-loader ## load the sample data, users.csv and music.csv, through db
	@$(KUBECTL) -n $(NS) delete job c756-loader --ignore-not-found
	@$(HELM) template c756 charts/c756 -n $(NS) $(CHART_VALUES) --set loader.enabled=true -s templates/loader-job.yaml \
	  | $(KUBECTL) -n $(NS) apply -f -
	@tools/wait-job.sh $(NS) c756-loader

health-off: reach check ## deploy without probes, for quiet logs; s1, s2 and db put them back
	@$(SUB) chart MORE_VALUES='--set probes.enabled=false'
	@for version in v1 v2; do if $(KUBECTL) -n $(NS) get deploy/cmpt756s2-$$version >/dev/null 2>&1; then \
	  tools/manifest.sh cluster/s2-dpl-$$version.yaml \
	    "$$(tools/digest.sh $(LOGS)/cmpt756s2-$$version.log $(NS) cmpt756s2-$$version)" | tools/without-probes.sh \
	  | $(KUBECTL) -n $(NS) apply -f -; fi; done

check: ## check the chart and cluster/*.yaml; nothing is applied
	@tools/check.sh cluster/*.yaml

# --- Images ----------------------------------------------------------------------------------------------
cri: image-s1 image-db image-loader image-console ## build all images
	@S2_VER=v1 $(SUB) -e image-s2
	@S2_VER=v2 $(SUB) -e image-s2

cr: image-$(SVC) ## build one image: SVC=s1, s2 (with S2_VER), db, loader or console

image-s1: $(LOGS)/cmpt756s1-v1.log ## build the image of S1
	@:
image-db: $(LOGS)/cmpt756db-v1.log ## build the image of db
	@:
image-s2: $(LOGS)/cmpt756s2-$(S2_VER).log ## build the image of S2_VER of S2
	@:
image-loader: $(LOGS)/c756-loader-v1.log ## build the image of the loader
	@:
image-console: $(LOGS)/c756-console-v1.log ## build the image of the console
	@:

$(LOGS)/cmpt756s1-v1.log: DOCKERFILE = s1/Dockerfile
$(LOGS)/cmpt756db-v1.log: DOCKERFILE = db/Dockerfile
$(LOGS)/cmpt756s2-$(S2_VER).log: DOCKERFILE = s2/$(S2_VER)/Dockerfile
$(LOGS)/c756-loader-v1.log: DOCKERFILE = tools/loader/Dockerfile
$(LOGS)/c756-console-v1.log: DOCKERFILE = console/Dockerfile
$(LOGS)/%.log:
	@tools/build-image.sh $(DOCKERFILE) $(CREG)/$(OWNER)/$(patsubst %-$(lastword $(subst -, ,$*)),%,$*):$(lastword $(subst -, ,$*)) $@

clean: ## remove the build logs, so that the next s1, s2 or db builds its image again
	@rm -rf $(LOGS) && echo "The build logs are removed: the next s1, s2 or db builds its image again."

# --- Rollouts --------------------------------------------------------------------------------------------
rollout: rollout-s1 rollout-s2 rollout-db ## wait until all pods run what was deployed
rollout-s1:
	@tools/rollout.sh $(NS) cmpt756s1 $(TIMEOUT)
rollout-s2:
	@tools/s2-rollout.sh $(NS) $(S2_VER) $(TIMEOUT)
rollout-db:
	@tools/rollout.sh $(NS) cmpt756db $(TIMEOUT)

scratch: ## remove all of the namespace
	@tools/confirm.sh "delete the namespace $(NS) and all that runs in it"
	@$(KUBECTL) delete namespace $(NS) --ignore-not-found

# --- DynamoDB --------------------------------------------------------------------------------------------
dynamodb-init: ## create the tables of REGID in AWS_REGION, or bring them up to date; settings: docs/clouds.md
	@tools/clouds/dynamodb.sh init

dynamodb-clean: ## delete the tables of REGID in AWS_REGION with their data
	@tools/clouds/dynamodb.sh clean

ls-tables: ## the tables with billing mode, capacity and number of items
	@.venv/bin/python -m tools.clouds tables

# --- Looking ---------------------------------------------------------------------------------------------
ls: ## pods, services, VirtualServices and DestinationRules
	@$(KUBECTL) -n $(NS) get pods,services,virtualservices,destinationrules

lsa: ## the same of all namespaces
	@$(KUBECTL) get pods,services,virtualservices,destinationrules -A

COLUMNS := POD:.metadata.name,VERSION:.metadata.labels.version,CONTAINERS:.spec.containers[*].name
COLUMNS := $(COLUMNS),IMAGES:.spec.containers[*].image,SIDECARS:.spec.initContainers[*].name
lsd: ## containers with image and version per pod
	@$(KUBECTL) -n $(NS) get pods -o custom-columns='$(COLUMNS)'

log-s1 log-s2v1 log-s2v2 log-db shell-s1 shell-s2v1 shell-s2v2 shell-db: of = $(subst s2v,s2-v,$(lastword $(subst -, ,$@)))
log-s1 log-s2v1 log-s2v2 log-db: ## a service's log
	@$(KUBECTL) -n $(NS) logs deploy/cmpt756$(of) -c cmpt756$(firstword $(subst -, ,$(of))) --tail=100

shell-s1 shell-s2v1 shell-s2v2 shell-db: ## bash in a service's container
	@$(KUBECTL) -n $(NS) exec -it deploy/cmpt756$(of) -c cmpt756$(firstword $(subst -, ,$(of))) -- bash

showcontext: ## the place in use
	@echo "$(PLACE)"

extern: ## address and port of the ingress gateway
	@tools/getip.sh

dashboard: ## the way into the Kubernetes dashboard
	@tools/dashboard.sh

kiali-url grafana-url prometheus-url: ## where the graph, the dashboards and Prometheus are
	@tools/url.sh $(@:-url=)
