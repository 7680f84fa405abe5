#!/usr/bin/env bash
# engine.sh DIR: a private Docker Engine with a swarm of one node, in the foreground.
#
# It has mount, network and process namespaces of its own, and its data, sockets and images are in DIR:
# it stands beside any engine that already runs, and shares nothing with it. When this script ends, for
# whatever reason, the kernel ends all that ran inside. DIR is removed if this script made it.
#
# Prints "ready PID" once it can take stacks; PID is the first process inside: the engine's ports are
# reached through its network (nsenter --target PID --net). The socket is DIR/docker.sock; the image
# axion-test/box:1 is there (BusyBox alone; it runs /bin/httpd and /bin/sh).
# While the file DIR/hold exists, an engine that ended is not started again.
# Needs root, dockerd, a static busybox, iptables and curl.
set -eu

dir=$1
group=axion-engine-$$ # the control group of its containers

main() {
  [ "$(id -u)" = 0 ] || { echo "engine.sh: needs root" >&2; exit 1; }
  made=
  [ -d "$dir" ] || made=$dir
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  trap clean_up EXIT
  trap 'exit 143' TERM INT HUP
  # A script that is killed cannot clean up, but nothing that runs outlives it.
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
    bash "$0" --inside "$dir" "$group" &
  outer=$!
  wait_for "the engine answers" answers
  import_image
  start_swarm
  echo "ready $(pgrep -P "$outer")"
  wait "$outer"
}

# The first process of the namespaces: keeps an engine running.
inside() {
  # An empty /run: no other containerd, no systemd, no firewall daemon can be found by mistake.
  mount -t tmpfs tmpfs /run
  ip link set lo up
  echo '{}' >"$dir/daemon.json"
  while :; do
    rm -f "$dir/docker.pid"
    # A configuration file of its own: the machine's may name other directories.
    dockerd --config-file "$dir/daemon.json" --host "unix://$dir/docker.sock" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
      --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" --shutdown-timeout 1 >>"$dir/dockerd.log" 2>&1 || true
    sleep 0.1
    while [ -e "$dir/hold" ]; do sleep 0.05; done
  done
}

api() { curl -sS --fail-with-body --unix-socket "$dir/docker.sock" "$@"; }

answers() { [ "$(api http://engine/_ping 2>/dev/null)" = OK ]; }

node_is_ready() { api http://engine/nodes 2>/dev/null | grep -q '"State":"ready"'; }

wait_for() { # WHAT CONDITION
  for _ in $(seq 600); do
    if "$2"; then return 0; fi
    [ -d "/proc/$outer" ] || break
    sleep 0.05
  done
  echo "engine.sh: not reached: $1" >&2
  tail -20 "$dir/dockerd.log" >&2
  exit 1
}

import_image() {
  local root=$dir/image applet
  mkdir -p "$root"/{bin,etc,tmp,www}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"; done
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  tar -C "$root" -c . | api -X POST -H 'Content-Type: application/x-tar' --data-binary @- \
    'http://engine/images/create?fromSrc=-&repo=axion-test/box&tag=1' >/dev/null
  rm -rf "$root"
}

start_swarm() {
  api -X POST -H 'Content-Type: application/json' --data '{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}' \
    http://engine/swarm/init >/dev/null
  wait_for "the node is ready" node_is_ready
}

clean_up() {
  if [ -n "${outer:-}" ]; then
    kill -KILL "$outer" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
  fi
  remove_groups
  [ -z "$made" ] || rm -rf --one-file-system "$made"
}

# The control groups of containers that were killed are left empty; they vanish when they are removed.
remove_groups() {
  local tries
  for tries in $(seq 100); do
    find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
    [ -n "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$group" -print -quit)" ] || return 0
    sleep 0.05
  done
}

if [ "$dir" = --inside ]; then
  dir=$2 group=$3
  inside
else
  main
fi
