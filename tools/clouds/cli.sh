# shellcheck shell=bash
# Sourced by the scripts of this folder: asks the vendors' command lines.
export AWS_PAGER=""

# ask COMMAND...: sets OUT to what it prints and ERR to the line of its standard error that says what is wrong.
ask() {
  local errors code=0
  errors=$(mktemp)
  # shellcheck disable=SC2034 # the caller reads it
  OUT=$("$@" 2>"$errors") || code=$?
  ERR=$(grep -im 1 error "$errors" || grep -m 1 . "$errors" || true)
  rm "$errors"
  return "$code"
}

# need COMMAND URL: fails unless the command is there; the URL says how to install it. The script defines fail.
need() { command -v "$1" >/dev/null || fail "the command '$1' is missing: install it ($2) and start again"; }

# logged_in COMMAND... -- HOW TO LOG IN: fails where the command does.
logged_in() {
  local command=()
  while [ "$1" != -- ]; do command+=("$1"); shift; done
  ask "${command[@]}" || fail "${command[0]} has no access (${ERR:-it does not say why}); to log in: $2"
}

# need_aws REGION
need_aws() {
  need aws https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html
  logged_in aws sts get-caller-identity --region "$1" -- "aws configure, or aws sso login"
}
