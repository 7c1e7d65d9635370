#!/usr/bin/env bash
# The DynamoDB tables of one REGID on AWS, as the CloudFormation stack c756-dynamodb-REGID, by the AWS CLI.
# usage: tools/clouds/dynamodb.sh init|clean|policy
#   init    creates the tables or brings them up to date, and waits; what is not set stays as it is:
#           BILLING=PAY_PER_REQUEST|PROVISIONED, READ_CAPACITY and WRITE_CAPACITY (where provisioned), PROTECT=true|false
#           (against deletion), RECOVERY=true|false (point-in-time recovery), ENCRYPTION=KMS|OWNED (whose key)
#   clean   deletes the tables, after a question, unless they are protected
#   policy  creates the IAM policy that is all that db needs, and prints its ARN
# AWS_REGION: where (us-west-2).
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/../place.sh"
# shellcheck source=tools/clouds/cli.sh
. tools/clouds/cli.sh
export AWS_REGION=${AWS_REGION:-us-west-2}
regid=${REGID:-c756}
stack=c756-dynamodb-$regid
tables=("User-$regid" "Music-$regid" "Token-$regid")

fail() { echo "dynamodb: $1" >&2; exit 1; }
cfn() { aws cloudformation "$@" --region "$AWS_REGION"; }

# stack_status STACK: sets STATUS to the stack's status, or to nothing where there is none.
stack_status() {
  STATUS=""
  if ask cfn describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus' --output text; then
    STATUS=$OUT
  elif [[ $ERR != *"does not exist"* ]]; then
    fail "aws cloudformation describe-stacks: $ERR"
  fi
}

# existing: sets FOUND to the tables of REGID that there are.
existing() {
  local table
  FOUND=()
  for table in "${tables[@]}"; do
    if ask aws dynamodb describe-table --table-name "$table" --region "$AWS_REGION" --output text --query Table.TableName; then
      FOUND+=("$table")
    elif [[ $ERR != *ResourceNotFoundException* ]]; then
      fail "aws dynamodb describe-table: $ERR"
    fi
  done
}

# deploy STACK TEMPLATE OPTION...: creates or updates a stack, and waits.
deploy() {
  local name=$1 template=$2
  shift 2
  stack_status "$name"
  case $STATUS in
    # What a first start that failed leaves is empty, and cannot be updated.
    ROLLBACK_COMPLETE | REVIEW_IN_PROGRESS)
      cfn delete-stack --stack-name "$name"
      cfn wait stack-delete-complete --stack-name "$name"
      ;;
    *_IN_PROGRESS) fail "the stack $name is $STATUS just now: wait, and start again" ;;
    *FAILED) fail "the stack $name is $STATUS: see 'aws cloudformation describe-stack-events --stack-name $name --region $AWS_REGION'" ;;
  esac
  echo "Deploying the stack $name in $AWS_REGION" >&2
  # An update that changes nothing is no failure, whichever of the two ways it is told.
  if ! ask cfn deploy --stack-name "$name" --template-file "$template" --no-fail-on-empty-changeset \
    --tags project=c756 "owner=$regid" "$@" && [[ $ERR != *"No updates are to be performed"* ]]; then
    cfn describe-stack-events --stack-name "$name" --output text \
      --query "StackEvents[?ends_with(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]" >&2 || true
    fail "the stack $name could not be deployed in $AWS_REGION: $ERR"
  fi
}

init() {
  local parameters=("RegId=$regid")
  stack_status "$stack"
  if [ -z "$STATUS" ]; then
    existing
    if [ "${#FOUND[@]}" = "${#tables[@]}" ]; then
      echo "The tables of $regid are in $AWS_REGION already, made by other means than this: they stay as they are."
      return
    fi
    [ "${#FOUND[@]}" = 0 ] ||
      fail "of the tables of $regid only these are in $AWS_REGION, made by other means than this: ${FOUND[*]}; delete them first"
  fi
  [ -z "${BILLING:-}" ] || parameters+=("BillingMode=$BILLING")
  [ -z "${READ_CAPACITY:-}" ] || parameters+=("ReadCapacity=$READ_CAPACITY")
  [ -z "${WRITE_CAPACITY:-}" ] || parameters+=("WriteCapacity=$WRITE_CAPACITY")
  [ -z "${PROTECT:-}" ] || parameters+=("DeletionProtection=$PROTECT")
  [ -z "${RECOVERY:-}" ] || parameters+=("PointInTimeRecovery=$RECOVERY")
  [ -z "${ENCRYPTION:-}" ] || parameters+=("Encryption=$ENCRYPTION")
  deploy "$stack" cluster/cloudformation-dynamodb.json --parameter-overrides "${parameters[@]}"
  echo "The tables of $regid are in $AWS_REGION: ${tables[*]}"
}

clean() {
  local table protected=()
  existing
  stack_status "$stack"
  if [ -z "$STATUS" ]; then
    [ "${#FOUND[@]}" != 0 ] || { echo "There are no tables of $regid in $AWS_REGION."; return; }
    fail "the tables of $regid were made by other means than this: 'aws dynamodb delete-table --region $AWS_REGION --table-name NAME' for each of ${FOUND[*]}"
  fi
  for table in "${FOUND[@]}"; do
    ask aws dynamodb describe-table --table-name "$table" --region "$AWS_REGION" --output text \
      --query Table.DeletionProtectionEnabled || fail "aws dynamodb describe-table: $ERR"
    [ "${OUT,,}" != true ] || protected+=("$table")
  done
  [ "${#protected[@]}" = 0 ] ||
    fail "protected against deletion: ${protected[*]}; to end that: make -f k8s.mak dynamodb-init PROTECT=false"
  PLACE="AWS $AWS_REGION" tools/confirm.sh "delete the DynamoDB tables ${tables[*]} with all their data"
  cfn delete-stack --stack-name "$stack"
  cfn wait stack-delete-complete --stack-name "$stack"
  echo "The tables of $regid in $AWS_REGION are deleted."
}

policy() {
  deploy "c756-iam-$regid" cluster/iam-db.json --parameter-overrides "RegId=$regid" --capabilities CAPABILITY_NAMED_IAM
  cfn describe-stack-resource --stack-name "c756-iam-$regid" --logical-resource-id Policy \
    --query StackResourceDetail.PhysicalResourceId --output text
}

case ${1:-} in
  init | clean | policy) ;;
  *) echo "usage: tools/clouds/dynamodb.sh init|clean|policy" >&2; exit 2 ;;
esac
if [ "$PLACE" = local ] && [ "$1" != policy ]; then
  case $1 in
    init) exec make --no-print-directory -f local.mak tables ;;
    clean) fail "on this machine the tables go with all of the data: make -f local.mak scratch" ;;
  esac
fi
[[ $regid =~ ^[A-Za-z0-9][A-Za-z0-9-]{0,38}$ ]] ||
  fail "REGID is '$regid': it must be a GitHub ID: 1 to 39 letters, digits and '-', with no '-' in front"
need_aws "$AWS_REGION"
"$1"
