#!/usr/bin/env bash
# swarm.sh DIR ROLE ...: private Docker Engines (engine.sh) that form one swarm, as long as this script runs.
#
# One engine for each ROLE, manager or worker; the first is a manager. Each has a network namespace of its own,
# and all are on one bridge, in a namespace too: nothing of the machine's network is touched, and when this script ends, for
# whatever reason, the kernel ends all of it.
#
# Prints "ready SOCKET PID" for each engine, in their order, once the swarm has them all. PID is the first process of the
# engine. While the file DIR/N/hold exists (N counts from 1), engine N is not started again when it ends.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=engine.sh
. "$here/engine.sh"

network=10.213.0 # nobody outside sees it

swarm() { # DIR ROLE ...
  made=
  [ -d "$1" ] || made=$1
  mkdir -p "$1"
  base=$(cd "$1" && pwd)
  shift
  group=axion-engine-$$
  dir=$base
  trap 'leave_roots; clean_up' EXIT
  trap 'exit 143' TERM INT HUP
  [ "$(id -u)" = 0 ] || fail "a swarm of our own needs root"
  sweep
  local n=0 role token
  for role in "$@"; do n=$((n + 1)); mkdir -p "$base/$n"; done
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
    bash "$0" --bridge "$base" "$group" "$#" &
  outer=$!
  n=0
  for role in "$@"; do
    n=$((n + 1))
    dir=$base/$n socket=$base/$n/docker.sock
    wait_for "engine $n answers" answers
    import_image
    if [ "$n" = 1 ]; then
      swarm_call init "$n" '"ForceNewCluster":false'
    else
      token=$(socket=$base/1/docker.sock api http://engine/swarm | sed -n "s/.*\"${role^}\":\"\([^\"]*\)\".*/\1/p")
      swarm_call join "$n" "\"RemoteAddrs\":[\"$network.1:2377\"],\"JoinToken\":\"$token\""
    fi
  done
  nodes=$#
  socket=$base/1/docker.sock
  wait_for "all nodes are ready" nodes_are_ready
  n=0
  for role in "$@"; do n=$((n + 1)); echo "ready $base/$n/docker.sock $(first_process "$n")"; done
  dir=$base
  wait "$outer"
}

# What the engines were given in a root folder of their own.
leave_roots() { [ -z "${AXION_TEST_ENGINE_ROOT:-}" ] || rmdir "$AXION_TEST_ENGINE_ROOT$base"/* || true; }

swarm_call() { # WHAT N FIELDS
  api -X POST -H 'Content-Type: application/json' \
    --data "{\"ListenAddr\":\"$network.$2:2377\",\"AdvertiseAddr\":\"$network.$2\",$3}" "http://engine/swarm/$1" >/dev/null
}

nodes_are_ready() { [ "$(api http://engine/nodes 2>/dev/null | grep -o '"State":"ready"' | wc -l)" = "$nodes" ]; }

# As this machine counts: the child of the one whose command line names the folder of engine N first.
first_process() { pgrep -P "$(pgrep -f -o -- "engine.sh --inside $base/$1 $group")"; }

# The first process of the namespaces: the bridge, and an engine on each of its ports.
bridge() { # DIR GROUP NUMBER
  ip link set lo up
  ip link add bridge0 type bridge
  ip link set bridge0 up
  local n pid
  for n in $(seq "$3"); do
    unshare --net bash "$0" --node "$1/$n" "$2" "$n" &
    pid=$!
    while [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
    ip link add "node$n" type veth peer name eth0 netns "$pid"
    ip link set "node$n" master bridge0 up
  done
  wait
}

# Becomes the first process of an engine.
node() { # DIR GROUP N
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
  ip addr add "$network.$3/24" dev eth0
  ip link set eth0 up
  # No default route: a node that asks a registry is told at once that there is none.
  exec unshare --mount --pid --fork --kill-child=KILL --mount-proc bash "$here/engine.sh" --inside "$1" "$2/$3"
}

case $1 in
  --bridge) bridge "$2" "$3" "$4" ;;
  --node) node "$2" "$3" "$4" ;;
  *) swarm "$@" ;;
esac
