#!/usr/bin/env bash
# test.sh: every test, and one summary of all test programs with its true exit code.
#
# What this machine can give is started first, told to the tests in AXION_TEST_… variables, and ended here;
# a variable that is set already is taken as it is. Tests without what they need say so and are named.
#   AXION_TEST_ENGINE     the socket of an engine for the tests of the Docker room and of deploys
#   AXION_TEST_REGISTRY   a registry that this engine reaches, with the login tester/secret and box:1
#   AXION_TEST_KAFKA      a broker; with _SSL, _MTLS, _SASL, _CERTS its other listeners, with _DENIED a topic
#                         that nobody may use, with _ROOT one that tests may stop. It is ../shared/kafka, if
#                         that is there and Java is
set -u

cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
log=$work/tests.log
started=() # what is told to end at the end, last started first
kafka=$PWD/../shared/kafka

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

# Runs a program that ends with this script, however this script ends.
background() {
  setpriv --pdeathsig TERM -- "$@" &
  started=($! ${started[@]+"${started[@]}"})
}

start_engine() {
  local pid=
  background packaging/dev/engine.sh "$work/engine" private >"$work/ready" 2>"$work/engine.log"
  while kill -0 "${started[0]}" 2>/dev/null && ! grep -q '^ready ' "$work/ready"; do sleep 0.1; done
  read -r _ AXION_TEST_ENGINE pid <"$work/ready" || { tail -1 "$work/engine.log"; return; }
  export AXION_TEST_ENGINE
  # A registry leaves images behind: only on an engine that vanishes.
  if [ "$pid" != 0 ] && command -v docker-registry >/dev/null; then start_registry "$pid"; fi
}

start_registry() { # PID of the engine's namespaces
  local address=127.0.0.1:5000 login
  mkdir "$work/registry"
  # tester/secret, as `htpasswd -B` writes it.
  # shellcheck disable=SC2016 # no variables
  echo 'tester:$2y$05$CYAcadmj9KLLjbzEA4Nvv.hwOv4WNteeaK4Z9KHB3kGZFlVLXfuie' >"$work/registry/htpasswd"
  cat >"$work/registry/config.yml" <<Y
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $work/registry/data}, delete: {enabled: true}}
http: {addr: $address}
auth: {htpasswd: {realm: test, path: $work/registry/htpasswd}}
Y
  background nsenter --target "$1" --net docker-registry serve "$work/registry/config.yml" >"$work/registry/log" 2>&1
  login=$(printf '{"username":"tester","password":"secret","serveraddress":"%s"}' $address | base64 -w0)
  api -X POST "http://engine/images/axion-test/box:1/tag?repo=$address/box&tag=1" || return
  for _ in $(seq 100); do
    if api -X POST -H "X-Registry-Auth: $login" "http://engine/images/$address/box/push?tag=1" | grep -q '"aux"'; then
      export AXION_TEST_REGISTRY=$address
      break
    fi
    sleep 0.1
  done
  api -X DELETE "http://engine/images/$address/box:1" >/dev/null
}

api() { curl -sS --fail-with-body --unix-socket "$AXION_TEST_ENGINE" "$@"; }

start_kafka() {
  [ -x "$kafka/kafka-up.sh" ] && command -v java >/dev/null || return 0
  local root=$work/kafka
  "$kafka/kafka-up.sh" "$root" "$(free_ports)" >"$work/kafka.log" 2>&1 || { tail -3 "$work/kafka.log"; return; }
  # The broker has a session of its own: somebody must end it even if this script cannot.
  # shellcheck disable=SC2016 # the arguments are the inner shell's
  background bash -c 'trap "$1/kafka-down.sh $2 KILL" EXIT; trap exit TERM; sleep infinity & wait' keeper "$kafka" "$root"
  # shellcheck source=/dev/null # it exports the addresses
  . "$root/env"
  export AXION_TEST_KAFKA_ROOT=$root
  # A topic that has a rule for somebody else is closed to the rest.
  if CLASSPATH="$kafka/libs/*" java -Xmx128m org.apache.kafka.tools.AclCommand --bootstrap-server "$AXION_TEST_KAFKA" --add \
    --allow-principal User:other --operation Read --topic axion-denied >>"$work/kafka.log" 2>&1; then
    export AXION_TEST_KAFKA_DENIED=axion-denied
  fi
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

[ -n "${AXION_TEST_ENGINE:-}" ] || start_engine
[ -n "${AXION_TEST_KAFKA:-}" ] || start_kafka
echo "engine ${AXION_TEST_ENGINE:-none}, registry ${AXION_TEST_REGISTRY:-none}, broker ${AXION_TEST_KAFKA:-the mock cluster}"

cargo test --locked --no-fail-fast -- --show-output 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

# A test of libtest that lacks something passes and prints "skipped: …"; the bed's says "test … skipped: …".
skipped() {
  awk '/^---- .* stdout ----$/ { name = $2 } /^skipped: / && name { print name ": " substr($0, 10); name = "" }' "$log"
  sed -n 's/^test \(.*\) \.\.\. skipped: /\1: /p; s/^test \(.*\) \.\.\. ignored.*/\1: ignored/p' "$log"
}

# libtest's lines are "test result: ok. 3 passed; 0 failed; 0 ignored; …", the bed's "failures: 3 passed, 0 failed, 1 skipped".
sum() { grep -E '^test result: |^[a-z_]+: [0-9]+ passed, ' "$log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }

missed=$(skipped | wc -l)
in_passing=$((missed - $(sum skipped) - $(sum ignored)))
echo
skipped | sed 's/^/skipped: /'
grep -E '^test .* \.\.\. FAILED' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED.*//'
echo "tests: $(($(sum passed) - in_passing)) passed, $(sum failed) failed, $missed skipped"
exit "$code"
