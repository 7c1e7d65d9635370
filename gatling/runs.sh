# shellcheck shell=bash
# Sourced by tools/gatling.sh, tools/list-gatling.sh and tools/kill-gatling.sh: which runs of this folder are alive.
#
# A run is a java process that leads its process group and carries its log file in its command line. There is no list
# on disk, so none that could be stale, and a process id that was given to another process is never taken for a run.

LOGS=${GATLING_LOGS:-$ROOT/logs}
mkdir -p "$LOGS/gatling"
LOGS=$(cd "$LOGS" && pwd -P)

# fail TEXT: one line on standard error, exit 1.
fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# simulations: the names of the simulations that there are, one a line.
simulations() {
  grep -l 'extends ReadSim ' "$ROOT"/gatling/src/test/java/proj756/*.java | sed 's|.*/||; s|\.java$||'
}

# check_simulation NAME: ends the script if there is none of that name.
check_simulation() {
  simulations | grep -qxF -- "$1" || fail "no simulation '$1'; there are: $(simulations | paste -sd ' ')"
}

# marker LOG PLACE: the arguments by which `runs` knows a run, one a line.
marker() {
  printf '%s\n' "-Dproj756.log=$1" "-Dproj756.place=$2"
}

# leads_group PID: whether the process leads a process group, as each run does.
leads_group() {
  local state group
  mapfile -t state 2>/dev/null <"/proc/$1/stat" || return 1
  read -r _ _ group _ <<<"${state[*]##*) }" # the name in parentheses may hold anything
  [[ $group == "$1" ]]
}

# runs SIM: one line for each run of SIM (of any if it is empty) that is alive,
# PID SIM USERS SINCE PLACE LOG with tabs between.
runs() {
  local process pid arguments argument log place name sim users date time
  for process in /proc/[0-9]*; do
    [[ -O $process ]] || continue
    mapfile -d '' -t arguments 2>/dev/null <"$process/cmdline" || continue
    [[ ${arguments[0]-} == *java ]] || continue
    log='' place=''
    for argument in "${arguments[@]}"; do
      case $argument in
      -Dproj756.log=*) log=${argument#*=} ;;
      -Dproj756.place=*) place=${argument#*=} ;;
      esac
    done
    pid=${process#/proc/} name=${log#"$LOGS/gatling-"}
    [[ $name =~ ^([A-Za-z0-9]+)-([0-9]+)-([0-9]{8})-([0-9]{6})\.log$ ]] || continue
    sim=${BASH_REMATCH[1]} users=${BASH_REMATCH[2]} date=${BASH_REMATCH[3]} time=${BASH_REMATCH[4]}
    [[ -z $1 || $sim == "$1" ]] || continue
    leads_group "$pid" || continue
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$pid" "$sim" "$users" \
      "${date:0:4}-${date:4:2}-${date:6:2} ${time:0:2}:${time:2:2}:${time:4:2}" "$place" "$log"
  done
}
