# shellcheck shell=bash disable=SC2034,SC2153 # what cluster.sh reads
# Azure Kubernetes Service by az; cluster.sh says what each function is for.
# Options: https://learn.microsoft.com/cli/azure/aks
CONTEXT=$CLUSTER-aks
WHERE="$LOCATION, resource group $RESOURCE_GROUP"
# Nodes, load balancers, addresses and volumes: Azure deletes this group with the cluster.
NODE_GROUP=$RESOURCE_GROUP-nodes
POOL=nodepool1
this=(--resource-group "$RESOURCE_GROUP" --name "$CLUSTER")

ready() {
  need az https://learn.microsoft.com/cli/azure/install-azure-cli
  logged_in az account show -- "az login"
}

state() {
  if ask az aks show "${this[@]}" --query "join(' ', [provisioningState, powerState.code || 'Unknown'])" --output tsv; then
    case $OUT in
      "Succeeded Running") echo running ;;
      "Succeeded Stopped") echo stopped ;;
      Deleting*) echo "busy DELETING" ;;
      Failed* | Canceled*) echo "failed ${OUT% *}" ;;
      *) echo "busy ${OUT% *}" ;;
    esac
  elif [[ $ERR != *ResourceNotFound* && $ERR != *ResourceGroupNotFound* ]]; then
    fail "az aks show: $ERR"
  elif group_is_ours; then
    echo partial
  fi
}

# group_is_ours: whether start made the resource group.
group_is_ours() { [ "$(az group list --tag project=c756 --query "[?name=='$RESOURCE_GROUP'].name" --output tsv)" != "" ]; }

# newest: the newest version of Kubernetes that is no preview.
newest() {
  # shellcheck disable=SC2016 # a literal of JMESPath
  az aks get-versions --location "$LOCATION" --output tsv \
    --query 'sort_by(values[?isPreview!=`true`], &version)[-1].version'
}

create() {
  local version
  version=${K8S_VERSION:-$(newest)} && [ -n "$version" ] &&
    az provider register --namespace Microsoft.ContainerService --wait &&
    if [ "$(az group exists --name "$RESOURCE_GROUP")" = false ]; then
      az group create --name "$RESOURCE_GROUP" --location "$LOCATION" --tags project=c756 --output none
    fi &&
    az aks create "${this[@]}" --location "$LOCATION" --tier free --kubernetes-version "$version" \
      --node-resource-group "$NODE_GROUP" --nodepool-name "$POOL" --node-vm-size "$MACHINE" --node-count "$NODES" \
      --node-osdisk-size "$DISK" --no-ssh-key --tags project=c756 --output none
}

credentials() { az aks get-credentials "${this[@]}" --context "$CONTEXT" --overwrite-existing; }

delete() {
  if [ "$STATE" != partial ]; then az aks delete "${this[@]}" --yes || return; fi
  if group_is_ours; then az group delete --name "$RESOURCE_GROUP" --yes; fi
}

# A pool of system nodes has at least one; a stopped cluster has none, and its control plane is stopped as well.
scale() {
  if [ "$1" = 0 ]; then
    [ "$STATE" = stopped ] || az aks stop "${this[@]}"
    return
  fi
  [ "$STATE" = running ] || az aks start "${this[@]}"
  [ "$(az aks nodepool show --resource-group "$RESOURCE_GROUP" --cluster-name "$CLUSTER" --name "$POOL" --query count --output tsv)" = "$1" ] ||
    az aks nodepool scale --resource-group "$RESOURCE_GROUP" --cluster-name "$CLUSTER" --name "$POOL" --node-count "$1" --output none
}

list() { az aks list --output table; }
show() { az aks nodepool list --resource-group "$RESOURCE_GROUP" --cluster-name "$CLUSTER" --output table; }

leftovers() {
  local exists
  exists=$(az group exists --name "$NODE_GROUP") || return
  [ "$exists" = false ] || echo "resource group $NODE_GROUP"
  if group_is_ours; then echo "resource group $RESOURCE_GROUP"; fi
}
