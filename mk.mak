# Kubernetes in containers of one machine as the place to run, by minikube or kind. k8s.mak has the operator's targets.
CLUSTER ?= c756
# minikube or kind.
TOOL ?= minikube
NODES ?= 2
# Of each node, for minikube; kind's nodes share the machine.
CPUS ?= 2
MEMORY ?= 6g
# minikube's driver; empty: it chooses.
DRIVER ?=
# What kind's nodes run in: docker or podman.
ENGINE ?= docker
# Kubernetes' version, for example v1.35.1; empty: the newest that the tool's release brings.
K8S_VERSION ?=

VENDOR := $(TOOL)
SETTINGS := CLUSTER TOOL NODES CPUS MEMORY DRIVER ENGINE K8S_VERSION
include tools/clouds/place.mak
