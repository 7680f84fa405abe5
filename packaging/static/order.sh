#!/usr/bin/env bash
# order.sh: writes order.txt, the functions that an idle agent runs, and behind them those of a deploy, for link.sh. Valgrind writes down
# which those are: of an agent that is connected over TLS, and of one that looks at fifty containers, in the situations that
# `make footprint` measures; then of agent and command line in `make deploy-bench`. Needs root, an engine and the real broker of
# with-broker.sh. Worth a run when a library has changed: a function that the list does not name costs a little memory, a name that no
# function has costs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

symbols=${1:?the program with its symbols: axion-agent.symbols beside the static one}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

main() {
  # The bench starts it as the agent; valgrind keeps the number of the process.
  cat >"$work/agent" <<END
#!/bin/sh
echo \$\$ >"$work/pid.new" && mv "$work/pid.new" "$work/pid"
exec valgrind -q --tool=callgrind --instr-atstart=\${ORDER_FROM_START:-no} --demangle=no --callgrind-out-file="$work/run.%p" "$symbols" "\$@"
END
  chmod +x "$work/agent"
  run 'TLS with a private CA'
  run 'fifty containers'
  list idle
  deploys
  list deploys
  # Those that an idle agent runs stay beside each other.
  cat "$work/idle" "$work/deploys" | awk '!seen[$0]++' >"$work/order"
  mv "$work/order" packaging/static/order.txt
  echo "packaging/static/order.txt: $(wc -l <packaging/static/order.txt) functions, $(wc -l <"$work/idle") of them of an idle agent"
}

# The functions that were seen to run, in the order of the program, so that what its writers put beside each other stays so.
list() {
  sed -nE "s/^c?fn=\([0-9]+\) ([^' ]+).*/\1/p" "$work"/run.* | LC_ALL=C sort -u >"$work/names"
  nm -n --defined-only "$symbols" | awk '$2 ~ /^[TtWw]$/ { print $3 }' | awk 'NR == FNR { run[$0]; next } $0 in run' "$work/names" - |
    packaging/static/plain.sh | awk '!seen[$0]++' >"$work/$1"
  local found
  found=$(wc -l <"$work/$1")
  [ "$found" -gt 1000 ] || { echo "order.sh: only $found functions were seen to run ($1): the bench said" >&2; cat "$work/bench" >&2; exit 1; }
  rm -f "$work"/run.*
}

# Fifty services, new and once more: all that agent and command line run, also as they start. That they are slow under valgrind fails
# the bench, and says nothing.
deploys() {
  ORDER_FROM_START=yes AXION_TEST_MEASURE=1 AXION_TEST_AGENT="$work/agent" \
    cargo bench -q --locked --profile dev --bench deploy >"$work/bench" 2>&1 || true
  grep -q 'the same file again: ' "$work/bench" || { echo "order.sh: not all was deployed: the bench said" >&2; cat "$work/bench" >&2; exit 1; }
}

# A minute of an idle agent in this situation.
run() {
  rm -f "$work/pid"
  # What it measures of an agent under valgrind says nothing, so its exit code does not either.
  AXION_TEST_AGENT="$work/agent" FOOTPRINT_ONLY="$1" FOOTPRINT_ROUNDS=1 FOOTPRINT_SECONDS=90 \
    packaging/dev/with-broker.sh cargo bench -q --locked --profile dev --bench footprint >"$work/bench" 2>&1 &
  local bench=$!
  until [ -e "$work/pid" ]; do
    kill -0 "$bench" 2>/dev/null || { cat "$work/bench" >&2; exit 1; }
    sleep 1
  done
  sleep 20 # it starts, and comes to rest
  callgrind_control -i on "$(cat "$work/pid")" >/dev/null 2>&1
  sleep 70 # before it is stopped, which is no part of being idle
  callgrind_control -i off "$(cat "$work/pid")" >/dev/null 2>&1
  wait "$bench" || true
}

main
