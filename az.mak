# Azure Kubernetes Service as the place to run, by az. k8s.mak has the operator's targets.
CLUSTER ?= c756
# Made by start, deleted by stop; one that was there before is used, and is kept.
RESOURCE_GROUP ?= $(CLUSTER)
LOCATION ?= westus2
# 2 CPUs and 8 GB each.
MACHINE ?= Standard_D2s_v5
NODES ?= 2
# Size in GB of each node's disk.
DISK ?= 32
# Kubernetes' version, for example 1.35; empty: the newest that is no preview.
K8S_VERSION ?=

VENDOR := az
SETTINGS := CLUSTER RESOURCE_GROUP LOCATION MACHINE NODES DISK K8S_VERSION
include tools/clouds/place.mak
