#!/usr/bin/env bash
# under-unit.sh AGENT run --config FILE: the agent as its package would run it, until this script ends.
# under-unit.sh lacks: why this machine cannot do that; nothing if it can.
#
# A systemd of its own, the first process of new namespaces, starts packaging/systemd/axion-agent.service as it
# stands: its account, its folders, its sandbox, its watchdog. It sees the machine's files with the package's
# laid over them (overlay file systems in memory, gone with it) and shares the machine's network and engine
# alone. FILE becomes /etc/axion/agent.toml, except for what the unit decides: the state directory, the agent's
# own socket in /run/axion-agent, and the engine's, which is /run/docker.sock. agent.state_dir of FILE is where /var/lib/axion-agent really is, so
# the next run finds what this one left. FILE's folder may hold unit.conf, a drop-in for the unit, credstore,
# which becomes /etc/credstore, and axion, whose files go into /etc/axion. The helper of updates runs too, by its own units.
#
# SIGTERM stops the unit, and this script ends with the agent's exit code; SIGKILL is a power cut. The log
# goes to agent.log beside FILE. Needs root, systemd and overlay file systems.
set -eu

main() {
  local lack code
  lack=$(lacks)
  [ -z "$lack" ] || fail "$lack"
  groups_of_ours
  sweep
  mkdir "$group"
  enter "$@" &
  outer=$!
  trap stop TERM INT
  # A signal ends the wait, not what is waited for.
  code=128
  while [ $code -ge 128 ] && kill -0 "$outer" 2>/dev/null; do
    code=0
    wait "$outer" || code=$?
  done
  remove "$group"
  exit "$code"
}

lacks() {
  if [ "$(id -u)" != 0 ]; then echo "a systemd of our own needs root"
  elif [ ! -x /lib/systemd/systemd ]; then echo "there is no systemd"
  elif ! grep -qw overlay /proc/filesystems; then echo "the kernel has no overlay file systems"
  fi
}

# A script that is killed cannot clean up, but nothing that runs outlives it.
enter() {
  echo "$BASHPID" >"$group/cgroup.procs"
  exec setpriv --pdeathsig KILL unshare --mount --pid --ipc --uts --cgroup --fork --kill-child=KILL --mount-proc \
    bash "$0" --inside "$1" "$4"
}

# Our systemd's control groups are below one of ours, where it finds no other process.
groups_of_ours() {
  tree=/sys/fs/cgroup
  [ ! -d $tree/systemd ] || tree=$tree/systemd
  tree=$tree$(sed -n 's/^[0-9]*:name=systemd://p; s/^0:://p' /proc/self/cgroup | head -1)
  group=${tree%/}/axion-unit-$$
}

# What an earlier script left because it was killed.
sweep() {
  local old
  for old in "${tree%/}"/axion-unit-*; do
    [ ! -d "$old" ] || [ -d "/proc/${old##*-}" ] || remove "$old"
  done
}

# Two of these scripts may find the same leavings.
remove() { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true; }

fail() { echo "under-unit.sh: $*" >&2; exit 1; }

stop() {
  # shellcheck disable=SC2016 # it runs there
  nsenter --target "$(pgrep -P "$outer")" --mount --pid -- \
    sh -c 'systemctl stop axion-agent; systemctl exit "$(systemctl show --value --property ExecMainStatus axion-agent)"' || true
}

# The first process of the namespaces: lays the package's files over the machine's, and becomes systemd.
inside() {
  agent=$1 config=$2
  folder=$(cd "$(dirname "$config")" && pwd)
  packaging=$(cd "$(dirname "$0")/.." && pwd)
  socket=$(setting host | sed 's#^unix://##')
  state=$(setting state_dir)

  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs /mnt
  lay_over /etc
  lay_over /usr
  lay_over /var/lib
  control_groups
  # The socket's folder: an engine that starts again makes its socket anew.
  mkdir /mnt/engine
  mount --bind "$(dirname "$socket")" /mnt/engine
  mount -t tmpfs -o mode=755 tmpfs /run
  ln -s "/mnt/engine/$(basename "$socket")" /run/docker.sock

  mount --bind "$agent" "$(place /usr/bin/axion-agent)"
  mkdir -p /etc/axion /var/lib/axion-agent "$state"
  mount --bind "$state" /var/lib/axion-agent
  sed '/^state_dir *=/d; /^host *=/d; /^ipc_socket_path *=/d' "$config" >/etc/axion/agent.toml
  [ ! -d "$folder/credstore" ] || cp -r "$folder/credstore" /etc/
  [ ! -d "$folder/axion" ] || install -m 644 "$folder/axion"/*.pem /etc/axion/
  systemd-sysusers "$packaging/systemd/axion-agent.sysusers.conf"
  systemd-tmpfiles --create "$packaging/systemd/axion-agent.tmpfiles.conf"
  may_write || fail "the engine's socket belongs to $(stat -L -c '%U and the group %G' /run/docker.sock), not to the group docker"
  units
  # As a machine that boots has it: systemd mounts credentials in a namespace beside its own.
  mount --make-rshared /
  export container=axion-agent-test
  exec /lib/systemd/systemd --system --unit=axion-agent.service --log-target=console --log-level=warning --show-status=no
}

setting() { sed -n "s/^$1 *= *\"\(.*\)\"/\1/p" "$config"; }

place() { : >"$1"; echo "$1"; }

lay_over() {
  mkdir -p "/mnt$1/upper" "/mnt$1/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt$1/upper,workdir=/mnt$1/work" "$1"
}

# systemd sees its own part of the tree alone: version 2 where the machine has it, else its named hierarchy.
control_groups() {
  if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  else
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  fi
}

may_write() { setpriv --reuid axion-agent --regid axion-agent --groups docker test -w /run/docker.sock; }

# The unit as it stands. The drop-in says where the log goes, and ends systemd when the unit has failed for good,
# with the agent's exit code (FailureAction and SuccessAction end it before a restart, too). No other service of
# the machine is started.
units() {
  rm -rf /etc/systemd/system
  mkdir -p /etc/systemd/system/axion-agent.service.d
  cp "$packaging"/systemd/*.service "$packaging"/systemd/*.path /etc/systemd/system/
  cat >/etc/systemd/system/axion-agent.service.d/10-test.conf <<END
[Unit]
DefaultDependencies=no
OnFailure=failed.service
Wants=axion-agent-update.path
[Service]
StandardOutput=append:$folder/agent.log
StandardError=append:$folder/agent.log
END
  cat >/etc/systemd/system/failed.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec systemctl exit "$MONITOR_EXIT_STATUS"'
END
  for unit in axion-agent-update.path axion-agent-update.service; do
    mkdir "/etc/systemd/system/$unit.d"
    printf '[Unit]\nDefaultDependencies=no\n' >"/etc/systemd/system/$unit.d/10-test.conf"
  done
  [ ! -e "$folder/unit.conf" ] || cp "$folder/unit.conf" /etc/systemd/system/axion-agent.service.d/20-test.conf
}

case $1 in
  lacks) lacks ;;
  --inside) inside "$2" "$3" ;;
  *) main "$@" ;;
esac
