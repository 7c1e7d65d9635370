# shellcheck shell=bash disable=SC2034,SC2153 # what cluster.sh reads
# Amazon EKS by eksctl and the AWS CLI; cluster.sh says what each function is for.
# Options: https://docs.aws.amazon.com/eks/latest/eksctl/ and https://docs.aws.amazon.com/cli/latest/reference/eks/
CONTEXT=$CLUSTER-eks
WHERE=$REGION
RELEASE=1 # eksctl deletes the load balancers of Services and Ingresses itself, but no volumes
STACK=eksctl-$CLUSTER-cluster
NODEGROUP=nodes

ready() {
  need eksctl https://docs.aws.amazon.com/eks/latest/eksctl/installation.html
  need_aws "$REGION"
}

state() {
  if ask aws eks describe-cluster --name "$CLUSTER" --region "$REGION" --query cluster.status --output text; then
    case $OUT in
      ACTIVE | UPDATING) nodes_state ;;
      FAILED) echo "failed $OUT" ;;
      *) echo "busy $OUT" ;;
    esac
  elif [[ $ERR != *ResourceNotFoundException* ]]; then
    fail "aws eks describe-cluster: $ERR"
  # A start that failed, or that has just begun, has eksctl's stack and no cluster.
  elif ask aws cloudformation describe-stacks --stack-name "$STACK" --region "$REGION" \
    --query 'Stacks[0].StackStatus' --output text; then
    case $OUT in
      DELETE_IN_PROGRESS) echo "busy DELETING" ;;
      *_IN_PROGRESS) echo "busy $OUT" ;;
      *) echo "failed stack $STACK is $OUT" ;;
    esac
  elif [[ $ERR != *"does not exist"* ]]; then
    fail "aws cloudformation describe-stacks: $ERR"
  fi
}

# nodes_state: running, or stopped where the node group is scaled to 0.
nodes_state() {
  local size
  size=$(aws eks describe-nodegroup --cluster-name "$CLUSTER" --nodegroup-name "$NODEGROUP" --region "$REGION" \
    --query nodegroup.scalingConfig.desiredSize --output text 2>/dev/null) || size=unknown
  if [ "$size" = 0 ]; then echo stopped; else echo running; fi
}

# newest: the newest version of Kubernetes that EKS supports.
newest() {
  aws eks describe-cluster-versions --version-status STANDARD_SUPPORT --region "$REGION" \
    --query 'sort_by(clusterVersions, &releaseDate)[-1].clusterVersion' --output text
}

# Without a NAT gateway, which costs more than a small node: the nodes have public addresses and let nobody in.
create() {
  local version
  version=${K8S_VERSION:-$(newest)} &&
    eksctl create cluster --name "$CLUSTER" --region "$REGION" --version "$version" \
      --nodegroup-name "$NODEGROUP" --node-type "$MACHINE" --nodes "$NODES" --nodes-min 0 --nodes-max "$NODES" \
      --node-volume-size "$DISK" --vpc-nat-mode Disable --tags project=c756 --write-kubeconfig=false
}

credentials() { aws eks update-kubeconfig --name "$CLUSTER" --region "$REGION" --alias "$CONTEXT"; }

# The VPC goes with the stack, which is why --wait: a load balancer that is left would keep it.
delete() { eksctl delete cluster --name "$CLUSTER" --region "$REGION" --wait --disable-nodegroup-eviction; }

scale() {
  eksctl scale nodegroup --cluster "$CLUSTER" --region "$REGION" --name "$NODEGROUP" \
    --nodes "$1" --nodes-min 0 --nodes-max "$NODES"
  aws eks wait nodegroup-active --cluster-name "$CLUSTER" --nodegroup-name "$NODEGROUP" --region "$REGION"
}

list() { eksctl get cluster --region "$REGION"; }
show() { eksctl get nodegroup --cluster "$CLUSTER" --region "$REGION"; }

leftovers() {
  aws cloudformation describe-stacks --region "$REGION" --output text \
    --query "Stacks[?Tags[?Key=='alpha.eksctl.io/cluster-name' && Value=='$CLUSTER']].[StackName]" |
    sed 's/^/CloudFormation stack /' || return
  aws resourcegroupstaggingapi get-resources --region "$REGION" --tag-filters "Key=kubernetes.io/cluster/$CLUSTER" \
    --resource-type-filters elasticloadbalancing:loadbalancer ec2:volume \
    --query 'ResourceTagMappingList[].[ResourceARN]' --output text
}

# role: db's service account becomes the IAM role with the policy of cluster/iam-db.json, by EKS Pod Identity.
role() {
  local policy namespace=c756ns account=cmpt756db known
  policy=$(tools/clouds/dynamodb.sh policy)
  known=$(aws eks list-addons --cluster-name "$CLUSTER" --region "$REGION" --query addons --output text)
  [[ $'\t'$known$'\t' == *$'\teks-pod-identity-agent\t'* ]] ||
    eksctl create addon --cluster "$CLUSTER" --region "$REGION" --name eks-pod-identity-agent
  known=$(aws eks list-pod-identity-associations --cluster-name "$CLUSTER" --region "$REGION" --namespace "$namespace" \
    --service-account "$account" --query 'associations[].associationId' --output text)
  if [ -n "$known" ] && [ "$known" != None ]; then
    echo "$account has a role already: $known"
  else
    eksctl create podidentityassociation --cluster "$CLUSTER" --region "$REGION" --namespace "$namespace" \
      --service-account-name "$account" --permission-policy-arns "$policy"
  fi
  echo "db takes the role when its pods start again: kubectl --context $CONTEXT -n $namespace rollout restart deploy/$account"
  echo "A Secret c756-aws with keys goes before it: kubectl --context $CONTEXT -n $namespace delete secret c756-aws"
}
