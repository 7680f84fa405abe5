#!/usr/bin/env bash
# order.sh: writes order.txt, the functions that an idle agent runs, for link.sh. Valgrind writes down which those are: of an agent that is
# connected over TLS, and of one that looks at fifty containers, in the situations that `make footprint` measures. Needs root, an
# engine and the real broker of with-broker.sh. Worth a run when a library has changed: a function that the list does not name costs
# a little memory, a name that no function has costs nothing.
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
exec valgrind -q --tool=callgrind --instr-atstart=no --demangle=no --callgrind-out-file="$work/run.%p" "$symbols" "\$@"
END
  chmod +x "$work/agent"
  run 'TLS with a private CA'
  run 'fifty containers'
  sed -nE "s/^c?fn=\([0-9]+\) ([^' ]+).*/\1/p" "$work"/run.* | LC_ALL=C sort -u >"$work/run-names"
  # In the order of the program, so that what its writers put beside each other stays so.
  nm -n --defined-only "$symbols" | awk '$2 ~ /^[TtWw]$/ { print $3 }' | awk 'NR == FNR { run[$0]; next } $0 in run' "$work/run-names" - |
    packaging/static/plain.sh | awk '!seen[$0]++' >"$work/order"
  local found
  found=$(wc -l <"$work/order")
  [ "$found" -gt 1000 ] || { echo "order.sh: only $found functions were seen to run: the bench said" >&2; cat "$work/bench" >&2; exit 1; }
  mv "$work/order" packaging/static/order.txt
  echo "packaging/static/order.txt: $found functions"
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
