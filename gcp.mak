# Google Kubernetes Engine as the place to run, by gcloud. k8s.mak has the operator's targets.
CLUSTER ?= c756
# Empty: gcloud's own (gcloud config set project).
PROJECT ?=
# One zone: its management fee is covered by the free tier for one cluster.
ZONE ?= us-west1-a
# 2 CPUs and 8 GB each.
MACHINE ?= e2-standard-2
NODES ?= 2
# Size in GB of each node's disk.
DISK ?= 30
# Kubernetes' version, for example 1.35; latest: the newest of the regular release channel.
K8S_VERSION ?= latest

VENDOR := gcp
SETTINGS := CLUSTER PROJECT ZONE MACHINE NODES DISK K8S_VERSION
include tools/clouds/place.mak
