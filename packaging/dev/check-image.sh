#!/usr/bin/env bash
# check-image.sh IMAGE: the image works as README says: with the mounts it names, a read-only root and no capabilities the
# agent answers on the host's loopback, finds the engine, keeps its journal in the volume, and stops cleanly. What was
# made for it is gone at the end.
set -euo pipefail

image=${1:?which image}
name=axion-agent-check-$$
work=$(mktemp -d)
patience=30 # seconds

clean() {
  docker rm -f "$name" >/dev/null 2>&1 || true
  docker volume rm -f "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

fail() {
  echo "check-image.sh: $*" >&2
  docker logs "$name" 2>&1 | tail -n 20 >&2
  exit 1
}

answers() { # PATH WORDS: within its time
  local end=$((SECONDS + patience)) said=
  until said=$(curl -fsS "http://127.0.0.1:$port$1" 2>&1) && [[ $said == *"$2"* ]]; do
    [ $SECONDS -lt $end ] || fail "$1 does not say $2, but: $said"
    sleep 0.2
  done
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf '[agent]\nid = "check"\n[health]\nport = %s\n' "$port" >"$work/agent.toml"
chmod 755 "$work"
docker run --detach --name "$name" --stop-timeout 20 --network host --read-only --cap-drop ALL --security-opt no-new-privileges \
  --volume /var/run/docker.sock:/var/run/docker.sock --volume "$name:/var/lib/axion-agent" --volume "$work:/etc/axion:ro" \
  --volume /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro "$image" >/dev/null
for start in first second; do
  answers /livez alive
  answers /readyz API
  docker stop "$name" >/dev/null
  code=$(docker inspect --format '{{.State.ExitCode}}' "$name")
  [ "$code" = 0 ] || fail "the $start run ended with exit code $code"
  [ $start = second ] || docker start "$name" >/dev/null
done
echo "$image: $(docker image inspect --format '{{.Size}}' "$image") bytes, answers, finds the engine, stops cleanly, twice on one journal"
