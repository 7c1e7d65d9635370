# Amazon EKS as the place to run, by eksctl and the AWS CLI. k8s.mak has the operator's targets.
CLUSTER ?= c756
REGION ?= us-west-2
# 2 CPUs and 8 GB each.
MACHINE ?= t3.large
NODES ?= 2
# Size in GB of each node's disk.
DISK ?= 30
# Kubernetes' version, for example 1.35; empty: the newest that AWS supports.
K8S_VERSION ?=

VENDOR := eks
SETTINGS := CLUSTER REGION MACHINE NODES DISK K8S_VERSION
include tools/clouds/place.mak

# Owner of the tables, as in k8s.mak.
export REGID ?= c756
.PHONY: role
role: ## let db use the tables of REGID by an IAM role of its service account, without keys
	@$(CLUSTER_SH) role
