#!/usr/bin/env bash
# check.sh ARCH: the binary of build.sh is static, and works in a root that holds nothing but itself, /dev/urandom, a CA
# file and its configuration: --version, config check, /livez, a TLS handshake of Kafka's and of gRPC's client, a clean
# stop. Another architecture's runs under qemu-user. Needs root (for chroot) or user namespaces.
set -euo pipefail

arch=${1:?which architecture: x86_64 or aarch64}
binary=${XDG_CACHE_HOME:-$HOME/.cache}/axion-agent/static/$arch/axion-agent
patience=100 # seconds for anything to happen; an emulated start takes some

work=$(mktemp -d)
running=()
clean() {
  [ ${#running[@]} = 0 ] || kill "${running[@]}" 2>/dev/null || true
  wait 2>/dev/null
  rm -rf "$work"
}
trap clean EXIT

fail() {
  echo "check.sh: $*" >&2
  for log in "$work"/*.log; do [ ! -s "$log" ] || { echo "--- ${log##*/}" >&2; tail -n 30 "$log" >&2; }; done
  exit 1
}

within() { # SECONDS WHAT COMMAND...: until the command succeeds
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "not within its time: $what"
    sleep 0.2
  done
}

bare() { $enter "$work/root" $emulator /axion-agent "$@"; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Two servers that only shake hands, with a certificate of a CA of our own.
servers() {
  local quiet="$work/openssl.log"
  (cd "$work" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out root/ca.pem -days 2 \
    -subj "/CN=check of the static binary" &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
    openssl x509 -req -in server.csr -CA root/ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem \
      -extfile <(echo subjectAltName=DNS:localhost)) >"$quiet" 2>&1 || fail "no certificates"
  kafka=$(free_port) grpc=$(free_port)
  # They hear and never speak: an input that ends would end them, and one that has something to say would be sent
  # before they report the handshake.
  mkfifo "$work/silence"
  exec 7<>"$work/silence"
  openssl s_server -accept "127.0.0.1:$kafka" -key "$work/server.key" -cert "$work/server.pem" -tls1_2 >"$work/kafka.log" 2>&1 <&7 &
  running+=($!)
  openssl s_server -accept "127.0.0.1:$grpc" -key "$work/server.key" -cert "$work/server.pem" -tls1_3 -alpn h2 >"$work/grpc.log" 2>&1 <&7 &
  running+=($!)
}

said=$(file -b "$binary")
[[ $said == *"statically linked"* || $said == *"static-pie linked"* ]] || fail "not static: $said"
[[ $said == *", stripped"* ]] || fail "not stripped: $said"
! ldd "$binary" >/dev/null 2>&1 || [ "$arch" != "$(uname -m)" ] || fail "ldd finds libraries in $binary"

enter=chroot
[ "$(id -u)" = 0 ] || enter="unshare --map-root-user chroot"
mkdir -p "$work/root"/{dev,etc,state}
install -m 755 "$binary" "$work/root/axion-agent"
emulator=
if [ "$arch" != "$(uname -m)" ]; then
  install -m 755 "$(command -v "qemu-$arch-static")" "$work/root/qemu"
  emulator=/qemu
fi
mknod -m 666 "$work/root/dev/urandom" c 1 9 2>/dev/null || { touch "$work/root/dev/urandom"; mount --bind /dev/urandom "$work/root/dev/urandom"; }
echo "127.0.0.1 localhost" >"$work/root/etc/hosts"

bare --version >"$work/version.log" 2>&1 || fail "--version"

servers
health=$(free_port)
cat >"$work/root/agent.toml" <<END
[agent]
id = "check"
state_dir = "/state"
[health]
port = $health
[local]
ipc_socket_path = "/agent.sock"
[kafka]
brokers = ["localhost:$kafka"]
security_protocol = "ssl"
ssl_ca_location = "/ca.pem"
[control_plane]
grpc_url = "https://localhost:$grpc"
ca_file = "/ca.pem"
END
bare config check --config /agent.toml >"$work/config.log" 2>&1 || fail "config check"
# Not through `bare`: the process to signal is the agent, not a shell around it.
# shellcheck disable=SC2086 # a command and its words
$enter "$work/root" $emulator /axion-agent run --config /agent.toml >"$work/agent.log" 2>&1 &
agent=$!
running+=("$agent")
within $patience "/livez answers" curl -fs "http://127.0.0.1:$health/livez"
# s_server says this once the client has verified the certificate and finished the handshake.
within $patience "Kafka's handshake, TLS 1.2" grep -q '^CIPHER is' "$work/kafka.log"
within $patience "gRPC's handshake, TLS 1.3 with h2" grep -q 'ALPN protocols selected: h2' "$work/grpc.log"
kill "$agent"
wait "$agent" && code=0 || code=$?
[ "$code" = 0 ] || fail "left with exit code $code"
echo "$(cat "$work/version.log") for $arch: static, runs in a bare root, TLS 1.2 and 1.3, stops cleanly"
