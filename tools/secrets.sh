#!/usr/bin/env bash
# Makes the Secrets that the services need, once: a second run changes nothing, or all tokens would end.
# usage: tools/secrets.sh NAMESPACE
set -euo pipefail
# shellcheck source=tools/place.sh
. "$(dirname "$0")/place.sh"
namespace=$1

exists() { tools/kubectl -n "$namespace" get secret "$1" -o name >/dev/null 2>&1; }
random() { head -c 32 /dev/urandom | base64 | tr -d '\n='; }
# secret NAME KEY VALUE...: the values go through standard input, where no other user sees them.
secret() {
  local name=$1
  shift
  {
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$name"
    while [ $# -gt 0 ]; do printf '  %s: "%s"\n' "$1" "$2"; shift 2; done
  } | tools/kubectl -n "$namespace" create -f -
}

exists c756-keys || secret c756-keys jwt-secret "$(random)" loader-token "$(random)"
if ! exists c756-aws; then
  if [ "$PLACE" = local ]; then
    # DynamoDB Local takes any credentials.
    secret c756-aws access-key-id local secret-access-key local
  elif [ -n "${AWS_ACCESS_KEY_ID:-}" ] && [ -n "${AWS_SECRET_ACCESS_KEY:-}" ]; then
    secret c756-aws access-key-id "$AWS_ACCESS_KEY_ID" secret-access-key "$AWS_SECRET_ACCESS_KEY" \
      ${AWS_SESSION_TOKEN:+session-token "$AWS_SESSION_TOKEN"}
  else
    echo "No AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: db takes the role of its service account."
  fi
fi
