#!/usr/bin/env bash
# demo.sh BIN_DIR: the agent at work, from nothing to a running stack and back to nothing.
#
# Takes the engine of this machine, or starts one of its own; starts a broker in memory, the development
# control plane and the agent; sends a Deploy and shows the events as they come; asks the service; scales
# it, and removes it. In a second act an agent that nothing reaches but its socket does the same by the command line: plans a stack,
# deploys it, breaks it, says why it does not run, and brings it back. The stacks have names of their own. Everything that was started is
# gone at the end, also after an interrupt. Exit code 0 only if every step worked.
set -eu

bin=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/axion-demo.XXXXXX")
agent_id=demo
project=shop-$$
local_stack=local-$$
began=$(date +%s%N)
steps=()
current="start"

cleanup() {
  local code=$?
  trap - EXIT
  [ $code = 0 ] || explain
  end "${agent:-}"
  [ -z "${deployed:-}" ] || remove_stack "$deployed"
  end "${control_plane:-}"
  end "${engine:-}"
  rm -rf "$work"
  summary $code
  exit $code
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

end() { # PID, if it was started
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# What a demo that failed or was interrupted leaves in an engine that goes on.
remove_stack() { # NAME
  local object tries
  for object in services/{web,worker} configs/page networks/default; do
    for tries in $(seq 100); do # a network goes once its tasks have gone
      case $(curl -sS -o /dev/null -w '%{http_code}' -X DELETE --unix-socket "$socket" \
        "http://engine/${object%/*}/${1}_${object#*/}" 2>/dev/null) in
        404 | 000) break ;;
      esac
      sleep 0.1
    done
  done
}

explain() {
  echo
  echo "It failed at: $current"
  for log in engine control-plane agent local; do
    [ -s "$work/$log.log" ] || continue
    echo "--- the end of $log.log"
    tail -15 "$work/$log.log"
  done
}

summary() {
  echo
  echo "---- demo ----"
  for step in "${steps[@]}"; do echo "  done    $step"; done
  if [ "$1" = 0 ]; then
    echo "demo: ok, $((($(date +%s%N) - began) / 1000000000)) s, everything removed"
  else
    echo "  FAILED  $current"
    echo "demo: failed"
  fi
}

# Each step has a title; the one under way is named when something fails.
step() { current=$1; echo; echo "== $1"; }
finished() { steps+=("$current${1:+: $1}"); }

wait_for() { # SECONDS COMMAND ...
  local tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "not in time: $*" >&2; return 1; }
    sleep 0.05
  done
}

field() { awk -v key="$1" '$1 == key { print $2; exit }' "$work/control-plane.out"; }

send() { "$bin/examples/control_plane" send --brokers "$brokers" --agent $agent_id --wait --timeout 60 "$@"; }

# Through the network of the private engine, or the machine's.
ask() { ${inside:+nsenter --target $inside --net} curl -sS --fail --max-time 2 "$1"; }

free_port() { # a port on which nothing listens
  local port
  for port in $(seq "$1" $(($1 + 200))); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

step "an engine with a swarm"
packaging/dev/engine.sh "$work/engine" >"$work/engine.out" 2>"$work/engine.log" &
engine=$!
engine_is_ready() { [ -s "$work/engine.out" ] || ! kill -0 $engine; }
wait_for 60 engine_is_ready
read -r _ socket inside <"$work/engine.out" || { cat "$work/engine.log" >&2; exit 1; }
[ "$inside" != 0 ] || inside=
echo "socket $socket"
finished

step "a broker in memory and the control plane"
"$bin/examples/control_plane" serve --mock-broker --token demo-token >"$work/control-plane.out" 2>"$work/control-plane.log" &
control_plane=$!
wait_for 10 grep -qx ready "$work/control-plane.out"
brokers=$(field brokers)
head -2 "$work/control-plane.out"
finished

step "the agent"
health=$(free_port 19469)
cat >"$work/agent.toml" <<Y
[agent]
token = "demo-token"
name = "$agent_id"
state_dir = "$work/state"

[control_plane]
grpc_url = "http://$(field grpc)"

[docker]
host = "unix://$socket"

[health]
port = $health

[local]
ipc_socket_path = "$work/agent.sock"
Y
mkdir "$work/state"
"$bin/axion-agent" run --config "$work/agent.toml" >"$work/agent.log" 2>&1 &
agent=$!
wait_for 30 curl -sf "http://127.0.0.1:$health/readyz"
grep '^agent' "$work/control-plane.out"
finished "enrolled, ready"

step "Deploy"
port=$(free_port 18080)
deployed=axion-$project
send --type Deploy --project $project --compose examples/shop.yml --env IMAGE=axion-test/box:1 --env PORT="$port" \
  --file page.html=examples/page.html
finished "DeployCompleted"

step "the service answers on port $port"
wait_for 10 ask "http://127.0.0.1:$port/"
ask "http://127.0.0.1:$port/"
finished

step "Scale to four workers"
send --type Scale --project $project --replicas worker=4
finished "CommandCompleted"

step "GetStatus"
send --type GetStatus --project $project
finished "StatusReport"

step "Remove"
send --type Remove --project $project
deployed=
finished "CommandCompleted"

step "the agent leaves on SIGTERM"
left=$(date +%s%N)
kill -TERM $agent
wait $agent
agent=
finished "after $((($(date +%s%N) - left) / 1000000)) ms"

step "second act: an agent that nothing reaches but its socket"
cat >"$work/local.toml" <<Y
[agent]
state_dir = "$work/local-state"

[docker]
host = "unix://$socket"

[health]
port = $health

[local]
ipc_socket_path = "$work/local.sock"
Y
"$bin/axion-agent" run --config "$work/local.toml" >"$work/local.log" 2>&1 &
agent=$!
export AXION_AGENT_SOCKET="$work/local.sock" IMAGE=axion-test/box:1 PORT="$port"
wait_for 30 curl -sf "http://127.0.0.1:$health/readyz"
finished "ready, with a configuration of a socket"

# Shows what a person types, and does it.
say() { echo "\$ axion-agent $*"; "$bin/axion-agent" "$@"; }

step "plan"
say plan "$local_stack" -c examples/shop.yml
finished

step "deploy"
deployed=$local_stack
say deploy "$local_stack" -c examples/shop.yml
wait_for 10 ask "http://127.0.0.1:$port/"
finished "exit code 0"

step "a change that does not run"
cat >"$work/broken.yml" <<Y
services:
  worker:
    command: ["sh", "-c", "echo 'no database at db:5432' >&2; exit 1"]
Y
say plan "$local_stack" -c examples/shop.yml -c "$work/broken.yml"
code=0
say deploy "$local_stack" -c examples/shop.yml -c "$work/broken.yml" --on-failure leave || code=$?
[ $code = 6 ] || { echo "exit code $code, 6 was expected: the deploy failed and was not rolled back" >&2; exit 1; }
finished "exit code 6: failed and left as it is"

step "why it does not run"
say services "$local_stack"
say ps "$local_stack"
say logs "$local_stack" worker --tail 2
"$bin/axion-agent" logs "$local_stack" worker 2>&1 | grep -q 'no database at db:5432'
finished

step "rollback"
say rollback "$local_stack"
say services "$local_stack"
ask "http://127.0.0.1:$port/" >/dev/null
finished "as it was"

step "rm"
say rm "$local_stack" --yes
deployed=
say commands
finished

step "the local agent leaves on SIGTERM"
kill -TERM $agent
wait $agent
agent=
finished
