# shellcheck shell=bash disable=SC2034,SC2153 # what cluster.sh reads
# Google Kubernetes Engine by gcloud; cluster.sh says what each function is for.
# Options: https://cloud.google.com/sdk/gcloud/reference/container/clusters
PROJECT=${PROJECT:-$(gcloud config get-value project 2>/dev/null || true)}
CONTEXT=gke_${PROJECT}_${ZONE}_$CLUSTER # get-credentials chooses it
WHERE="$ZONE, project ${PROJECT:-none}"
RELEASE=1 # gcloud tries to delete load balancers and volumes with the cluster, and promises nothing
POOL=default-pool
at=(--project "$PROJECT" --location "$ZONE")

ready() {
  need gcloud https://cloud.google.com/sdk/docs/install
  need gke-gcloud-auth-plugin https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl
  logged_in gcloud auth print-access-token -- "gcloud auth login"
  [ -n "$PROJECT" ] || fail "no Google Cloud project: run gcloud config set project NAME, or set PROJECT"
}

# clusters OPTION...: sets OUT to the list of clusters. Google's API is off until the first start: then there are none.
clusters() {
  ask gcloud container clusters list "$@" && return
  case $ERR in
    *SERVICE_DISABLED* | *"has not been used in project"*) OUT="" ;;
    *) fail "gcloud container clusters list: $ERR" ;;
  esac
}

state() {
  clusters "${at[@]}" --filter="name=$CLUSTER" --format='value[separator=" "](status,currentNodeCount)'
  case $OUT in
    "") ;;
    "RUNNING " | "RUNNING 0") echo stopped ;;
    RUNNING* | DEGRADED*) echo running ;;
    STOPPING*) echo "busy DELETING" ;;
    ERROR*) echo "failed ERROR" ;;
    *) echo "busy ${OUT% *}" ;;
  esac
}

create() {
  gcloud services enable container.googleapis.com --project "$PROJECT" &&
    gcloud container clusters create "$CLUSTER" "${at[@]}" --machine-type "$MACHINE" --num-nodes "$NODES" \
      --release-channel regular --cluster-version "$K8S_VERSION" --disk-type pd-standard --disk-size "$DISK" \
      --labels project=c756 --quiet
}

credentials() { gcloud container clusters get-credentials "$CLUSTER" "${at[@]}"; }
delete() { gcloud container clusters delete "$CLUSTER" "${at[@]}" --quiet; }
scale() { gcloud container clusters resize "$CLUSTER" "${at[@]}" --node-pool "$POOL" --num-nodes "$1" --quiet; }
list() { gcloud container clusters list --project "$PROJECT"; }
show() { gcloud container node-pools list --cluster "$CLUSTER" "${at[@]}"; }

# A load balancer's rule does not name its cluster: those of Kubernetes are left over where no cluster is left.
leftovers() {
  clusters --project "$PROJECT" --format='value(name)'
  gcloud compute disks list --project "$PROJECT" --filter="labels.goog-k8s-cluster-name=$CLUSTER" \
    --format='value[separator=" "](name,zone.basename())' | sed 's/^/disk /' || return
  [ -n "$OUT" ] || gcloud compute forwarding-rules list --project "$PROJECT" \
    --filter='description~kubernetes.io/service-name' --format='value[separator=" "](name,region.basename())' |
    sed 's/^/load balancer (forwarding rule) /'
}
