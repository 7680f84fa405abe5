#!/usr/bin/env bash
# engine-root.sh DIR: a root folder with a current Docker Engine, that of Debian testing, for AXION_TEST_ENGINE_ROOT
# (engine.sh). Two minutes and 600 MB; nothing if it is there. Needs root and debootstrap.
set -eu

root=$1
[ ! -x "$root/usr/sbin/dockerd" ] || exit 0
echo "Making a root folder with a current engine in $root"
mkdir -p "$root"
debootstrap --variant=minbase --include=docker.io,iptables,ca-certificates testing "$root" >"$root.log" 2>&1 ||
  { tail -n 5 "$root.log"; rm -rf "$root"; exit 1; }
