#!/usr/bin/env bash
# Sends load to the place in use, in the background.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source-path=SCRIPTDIR source=../gatling/runs.sh
source "$ROOT/gatling/runs.sh"

TARGET=$ROOT/gatling/target
STAMP=$TARGET/prepared
# Small, since two runs share two cores with all that they measure: no optimising compiler, one thread of each kind.
JVM=(-Xms16m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ActiveProcessorCount=1
  --add-opens=java.base/java.lang=ALL-UNNAMED)
INSTALL_JDK="install a JDK, 17 or newer (Debian: default-jdk-headless), or set JAVA_HOME to one"

usage() {
  cat <<USAGE
Usage: tools/gatling.sh USERS SIM [SECONDS]   sends load in the background (without SECONDS: until it is ended)
       tools/gatling.sh prepare               compiles the simulations and fetches what they need

SIM is one of: $(simulations | paste -sd ' ')
The place: CLUSTER_IP and CLUSTER_PORT (default 80), otherwise what tools/getip.sh prints.
USAGE
}

# find_java: sets JAVA to a java of at least version 17.
find_java() {
  local version
  JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
  command -v "$JAVA" >/dev/null || fail "no '$JAVA': $INSTALL_JDK"
  version=$("$JAVA" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  ((${version:-0} >= 17)) || fail "'$JAVA' is Java ${version:-unknown}: $INSTALL_JDK"
}

is_prepared() {
  [[ -f $STAMP && -z $(find "$ROOT/gatling/pom.xml" "$ROOT/gatling/src" -newer "$STAMP" -print -quit) ]]
}

# build [OPTION...]: compiles into a fresh folder; the stamp has the time at which the sources were read.
build() {
  rm -rf "$TARGET"
  mkdir -p "$TARGET"
  touch "$STAMP.new"
  mvn --batch-mode --quiet "$@" -f "$ROOT/gatling/pom.xml" process-test-classes >"$LOGS/gatling-prepare.log" 2>&1 &&
    mv "$STAMP.new" "$STAMP"
}

# prepare: compiles where that is needed; the lock keeps two starts at a time from building into one folder.
prepare() {
  exec 9>"$LOGS/gatling/prepare.lock"
  flock 9
  if ! is_prepared; then
    command -v "${JAVA}c" >/dev/null || fail "no '${JAVA}c', only a Java without a compiler: $INSTALL_JDK"
    command -v mvn >/dev/null || fail "no 'mvn': install Maven (Debian: maven)"
    echo "Compiling the simulations"
    build --offline || build || {
      tail -n 20 "$LOGS/gatling-prepare.log" >&2
      fail "the simulations could not be compiled; all of Maven's output: $LOGS/gatling-prepare.log"
    }
  fi
  exec 9>&-
}

# find_place: sets HOST and PORT.
find_place() {
  local place
  if [[ -n ${CLUSTER_IP-} ]]; then
    place="$CLUSTER_IP ${CLUSTER_PORT:-80}"
  else
    [[ -x $ROOT/tools/getip.sh ]] || fail "no tools/getip.sh: set CLUSTER_IP (and CLUSTER_PORT) to where the load goes"
    place=$("$ROOT/tools/getip.sh") || fail "tools/getip.sh found no place: start one (make up), or set CLUSTER_IP and CLUSTER_PORT"
  fi
  read -r HOST PORT _ <<<"$place"
  [[ ${PORT-} =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65535 ]] ||
    fail "'${PORT-}' is no port (CLUSTER_PORT, or the second word of tools/getip.sh)"
  # shellcheck disable=SC2016 # the inner bash expands them
  timeout 5 bash -c ': <"/dev/tcp/$1/$2"' - "$HOST" "$PORT" 2>/dev/null ||
    fail "nothing answers at $HOST port $PORT: start it (make up), or set CLUSTER_IP and CLUSTER_PORT"
}

# new_log USERS SIM: sets LOG to a new file and REPORTS to a new folder, which no other run has.
new_log() {
  local name
  while name=$2-$1-$(date +%Y%m%d-%H%M%S) && ! mkdir "$LOGS/gatling/$name" 2>/dev/null; do
    sleep 0.2
  done
  REPORTS=$LOGS/gatling/$name
  LOG=$LOGS/gatling-$name.log
}

# start USERS SIM SECONDS: starts the run in a process group of its own and waits until it is visible as one.
start() {
  local arguments pid
  mapfile -t arguments < <(marker "$LOG" "$HOST:$PORT")
  cd "$ROOT/gatling"
  CLUSTER_IP=$HOST CLUSTER_PORT=$PORT USERS=$1 DURATION=$3 setsid "$JAVA" "${JVM[@]}" "-Xmx$((64 + $1 / 4))m" "${arguments[@]}" \
    -cp "$TARGET/test-classes:$TARGET/lib/*" io.gatling.app.Gatling -s "proj756.$2" -rf "$REPORTS" \
    </dev/null >"$LOG" 2>&1 &
  pid=$!
  until [[ $'\n'$(runs "$2") == *$'\n'"$pid"$'\t'* ]]; do
    kill -0 "$pid" 2>/dev/null || fail "$2 did not start: $(tail -n 3 "$LOG")"
    sleep 0.05
  done
  cat <<STARTED
$2 with $1 user(s) sends load to $HOST:$PORT ${3:+for }${3:-until it is ended}${3:+ s}
  log   $LOG
  pid   $pid
  stop  tools/kill-gatling.sh $2
STARTED
}

case ${1-} in
-h | --help)
  usage
  exit
  ;;
prepare)
  find_java
  prepare
  exit
  ;;
esac
(($# == 2 || $# == 3)) || {
  usage >&2
  exit 2
}
[[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || fail "USERS is '$1': it must be a whole number from 1 to 9999"
check_simulation "$2"
[[ -z ${3-} || $3 =~ ^[1-9][0-9]{0,7}$ ]] || fail "SECONDS is '$3': it must be a whole number above 0"
find_java
find_place
is_prepared || prepare
new_log "$1" "$2"
start "$1" "$2" "${3-}"
