#!/usr/bin/env bash
# engine.sh DIR [private]: a Docker Engine with a swarm for tests and demo, as long as this script runs.
#
# It is the engine at $DOCKER_HOST (/var/run/docker.sock) if one answers there that is a swarm manager or in
# no swarm; what this script adds to it (the image, a swarm of one) it takes away again. With "private", or
# where there is no such engine, root gets a private one: it has mount, network and process namespaces of
# its own, and its data, sockets and images are in DIR. It stands beside any engine that already runs and
# shares nothing with it; when this script ends, for whatever reason, the kernel ends all that ran inside.
#
# Prints "ready SOCKET PID" once stacks can be deployed. PID is the first process of a private engine:
# its ports are reached through that one's network (nsenter --target PID --net); 0 is an engine whose
# ports are the machine's. The image axion-test/box:1 is there: BusyBox alone, with /bin/sh and httpd.
# While the file DIR/hold exists, a private engine that ended is not started again.
# DIR is removed at the end if this script made it. The private engine needs dockerd, a static busybox,
# iptables, iproute2, util-linux and curl; the other one busybox and curl. AXION_TEST_ENGINE_ROOT is a root folder (as
# debootstrap makes) with another dockerd, for the private engine; AXION_TEST_ENGINE_DISK gives that one a disk of its own of so
# many MiB.
set -eu

image=axion-test/box
lock=${TMPDIR:-/tmp}/axion-engine-$(id -u).lock # names what was added to an engine that runs already
group=axion-engine-$$ # the control group of a private engine's containers

main() {
  made=
  [ -d "$1" ] || made=$1
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  trap clean_up EXIT
  trap 'exit 143' TERM INT HUP
  local root=no lack
  [ "$(id -u)" != 0 ] || root=yes
  if [ $root = yes ] && [ -n "${2:-}${AXION_TEST_ENGINE_ROOT:-}" ]; then private; fi
  lack=$(existing_lacks)
  if [ -z "$lack" ]; then existing; fi
  [ $root = yes ] || fail "an engine of our own needs root, and $lack"
  private
}

fail() { echo "engine.sh: $*" >&2; exit 1; }

private() {
  socket=$dir/docker.sock
  sweep
  # Mounted outside, where the agent sees it too.
  if [ -n "${AXION_TEST_ENGINE_DISK:-}" ]; then
    mkdir -p "$dir/data"
    mount -t tmpfs -o "size=${AXION_TEST_ENGINE_DISK}m" tmpfs "$dir/data"
    disk=$dir/data
  fi
  # A script that is killed cannot clean up, but nothing that runs outlives it.
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
    bash "$0" --inside "$dir" "$group" &
  outer=$!
  wait_for "the engine answers" answers
  import_image
  start_swarm
  echo "ready $socket $(pgrep -P "$outer")"
  wait "$outer"
}

# The first process of the namespaces: keeps an engine running.
inside() {
  dir=$1 group=$2
  # An empty /run: no other containerd, no systemd, no firewall daemon can be found by mistake.
  mount -t tmpfs tmpfs /run
  ip link set lo up
  # A configuration file of its own: the machine's may name other directories.
  echo '{}' >"$dir/daemon.json"
  local within=()
  if [ -n "${AXION_TEST_ENGINE_ROOT:-}" ]; then
    enter "$AXION_TEST_ENGINE_ROOT"
    within=(chroot "$AXION_TEST_ENGINE_ROOT")
  fi
  while :; do
    rm -f "$dir/docker.pid"
    ${within[@]+"${within[@]}"} dockerd --config-file "$dir/daemon.json" --host "unix://$dir/docker.sock" --pidfile "$dir/docker.pid" \
      --data-root "$dir/data" --exec-root "$dir/exec" --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" \
      --shutdown-timeout 1 >>"$dir/dockerd.log" 2>&1 || true
    sleep 0.1
    while [ -e "$dir/hold" ]; do sleep 0.05; done
  done
}

# What an engine in a root folder of its own sees of this machine, and of our folder, which has the same path there.
enter() { # ROOT
  # The engine remounts what it takes for the root, which must be a mount for that.
  mount --bind "$1" "$1"
  mkdir -p "$1$dir"
  mount --rbind "$dir" "$1$dir"
  mount -t tmpfs tmpfs "$1/run"
  mount -t proc proc "$1/proc"
  mount --rbind /sys "$1/sys"
  mount --rbind /dev "$1/dev"
}

existing_socket() { echo "${DOCKER_HOST:-unix:///var/run/docker.sock}" | sed -n 's#^unix://##p'; }

# Why the engine that runs already, if one does, cannot be used; nothing if it can.
existing_lacks() {
  socket=$(existing_socket)
  if [ -z "$socket" ]; then echo "DOCKER_HOST ($DOCKER_HOST) is no Unix socket"; return; fi
  if ! answers; then echo "none answers at $socket"; return; fi
  case $(api http://engine/info) in
    *'"LocalNodeState":"inactive"'* | *'"ControlAvailable":true'*) ;;
    *) echo "the one at $socket is a worker of a swarm" ;;
  esac
}

# Several runs may use it at once: the last one out takes away what the first one added. Lock 8 is held by
# all who use the engine, lock 9 by whoever changes who does.
existing() {
  socket=$(existing_socket)
  exec 8>>"$lock" 9>>"$lock.change"
  flock 9
  flock -s 8
  shared=yes
  case $(api http://engine/info) in
    *'"LocalNodeState":"inactive"'*)
      # The engine makes it with its first swarm, and keeps it without one.
      api http://engine/networks/docker_gwbridge >/dev/null 2>&1 || echo bridge >>"$lock"
      start_swarm
      echo swarm >>"$lock"
      ;;
  esac
  if ! api "http://engine/images/$image:1/json" >/dev/null 2>&1; then import_image; echo image >>"$lock"; fi
  flock -u 9
  echo "ready $socket 0"
  # Interrupted by a signal.
  sleep infinity 8>&- 9>&- &
  sleeper=$!
  wait $sleeper
}

leave_existing() {
  flock 9
  # Without the lock somebody else still uses the engine, and will do this.
  flock -n 8 || return 0
  ! grep -q swarm "$lock" || api -X POST 'http://engine/swarm/leave?force=1' >/dev/null || true
  ! grep -q bridge "$lock" || api -X DELETE http://engine/networks/docker_gwbridge >/dev/null || true
  ! grep -q image "$lock" || remove_image
  : >"$lock"
}

api() { curl -sS --fail-with-body --unix-socket "$socket" "$@"; }

answers() { [ "$(api http://engine/_ping 2>/dev/null)" = OK ]; }

node_is_ready() { api http://engine/nodes 2>/dev/null | grep -q '"State":"ready"'; }

wait_for() { # WHAT CONDITION
  local tries
  for tries in $(seq 600); do
    if "$2"; then return 0; fi
    [ -z "${outer:-}" ] || [ -d "/proc/$outer" ] || break
    sleep 0.05
  done
  tail -20 "$dir/dockerd.log" >&2 || true
  fail "not reached after $tries looks: $1"
}

import_image() {
  local root=$dir/image applet
  mkdir -p "$root"/{bin,etc,tmp,www}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"; done
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  tar -C "$root" -c . | api -X POST -H 'Content-Type: application/x-tar' --data-binary @- \
    "http://engine/images/create?fromSrc=-&repo=$image&tag=1" >/dev/null
  rm -rf "$root"
}

start_swarm() {
  api -X POST -H 'Content-Type: application/json' --data '{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}' \
    http://engine/swarm/init >/dev/null
  wait_for "the node is ready" node_is_ready
}

clean_up() {
  [ -z "${sleeper:-}" ] || kill "$sleeper" 2>/dev/null || true
  [ -z "${shared:-}" ] || leave_existing
  if [ -n "${outer:-}" ]; then
    kill -KILL "$outer" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
    remove_groups "$group"
    [ -z "${AXION_TEST_ENGINE_ROOT:-}" ] || rmdir "$AXION_TEST_ENGINE_ROOT$dir" || true
    [ -z "${disk:-}" ] || umount -l "$disk" || true
  fi
  [ -z "$made" ] || rm -rf --one-file-system "$made"
}

# It can go once the last container of it has gone.
remove_image() {
  local tries
  for tries in $(seq 100); do
    ! api -X DELETE "http://engine/images/$image:1" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  echo "engine.sh: the image $image:1 is still in use after $tries tries" >&2
}

# The control groups of containers that were killed are left empty.
remove_groups() {
  local tries
  for tries in $(seq 100); do
    find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null || true
    [ -n "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$1" -print -quit)" ] || return 0
    sleep 0.05
  done
  echo "engine.sh: control groups of $1 are left after $tries tries" >&2
}

# Removes what an earlier script left because it was killed.
sweep() {
  local old
  for old in $(find /sys/fs/cgroup -maxdepth 2 -type d -name 'axion-engine-*' -printf '%f\n' | sort -u); do
    [ -d "/proc/${old##*-}" ] || remove_groups "$old"
  done
}

# swarm.sh takes the functions alone.
if [ "${BASH_SOURCE[0]}" != "$0" ]; then :; elif [ "$1" = --inside ]; then inside "$2" "$3"; else main "$@"; fi
