#!/usr/bin/env bash
# with-broker.sh COMMAND ...: runs a command beside a real broker: the Apache Kafka in ../shared/kafka if that is there and
# Java is, unless AXION_TEST_KAFKA names another; else the command is run without one.
#
# The command learns of it from variables: AXION_TEST_KAFKA, with _SSL, _MTLS, _SASL, _CERTS its other listeners, with
# _ACLS (Kafka's jars) that it denies what nobody has granted, with _ROOT one that tests may stop, with _PROPERTIES what it
# was started with. The broker ends with this script, whose exit code is the command's.
set -u

work=$(mktemp -d)
started=() # what is told to end at the end, last started first
kafka=$(cd "$(dirname "$0")/../.." && pwd)/../shared/kafka
# Without a rule nobody may do anything, but over the plain port. A transactional id that is idle is forgotten after 15 s,
# not after a week.
properties=(
  allow.everyone.if.no.acl.found=false
  transactional.id.expiration.ms=15000
  transaction.remove.expired.transaction.cleanup.interval.ms=3000
)

# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  local pid
  for pid in ${started[@]+"${started[@]}"}; do
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a program that ends with this script, however this script ends. It has none of our streams: whoever reads what we
# print would wait for the last of those who hold them.
background() {
  setpriv --pdeathsig TERM -- "$@" </dev/null >/dev/null 2>&1 &
  started=($! ${started[@]+"${started[@]}"})
}

start_kafka() {
  [ -x "$kafka/kafka-up.sh" ] && command -v java >/dev/null || return 0
  local root=$work/kafka
  # The broker has a session of its own: somebody must end it even if this script cannot.
  # shellcheck disable=SC2016 # the arguments are the inner shell's
  background bash -c 'trap "kill \$!; $1/kafka-down.sh $2 KILL" EXIT; trap exit TERM; sleep infinity & wait' keeper "$kafka" "$root"
  "$kafka/kafka-up.sh" "$root" "$(free_ports)" "${properties[@]}" >"$work/kafka.log" 2>&1 || { tail -3 "$work/kafka.log"; return; }
  # shellcheck source=/dev/null # it exports the addresses
  . "$root/env"
  export AXION_TEST_KAFKA_ROOT=$root
  export AXION_TEST_KAFKA_ACLS=$kafka/libs
  export AXION_TEST_KAFKA_PROPERTIES="${properties[*]}"
}

free_ports() { # the first of five ports in a row on which nothing listens
  local base port
  for base in $(seq $((21000 + $$ % 1000 * 5)) 5 30000); do
    for port in $(seq "$base" $((base + 4))); do
      (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
    done
    echo "$base"
    return
  done
}

[ -n "${AXION_TEST_KAFKA:-}" ] || start_kafka
"$@"
