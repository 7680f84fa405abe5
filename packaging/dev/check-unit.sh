#!/usr/bin/env bash
# check-unit.sh: the systemd units are well-formed, keep their exposure, and the account can be made.
# Needs no running systemd. Where its tools are missing or older than 250 it says so, and passes.
set -eu

most_exposure=16 # in tenths: 1.6
most_of_helper=15

skip() { echo "unit: skipped, $*"; exit 0; }
complain() { echo "check-unit: $*" >&2; exit 1; }

command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
version=$(systemd-analyze --version | sed -n 's/^systemd \([0-9]*\).*/\1/p')
[ "$version" -ge 250 ] || skip "systemd $version cannot look at a unit that is not loaded"

cd "$(dirname "$0")/../systemd"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The agent need not be installed: any program stands for it.
for unit in axion-agent.service axion-agent-update.service axion-agent-update.path; do
  sed "s#^ExecStart=/usr/bin/axion-agent#ExecStart=$(command -v env)#" $unit >"$work/$unit"
done
for unit in axion-agent.service axion-agent-update.service axion-agent-update.path; do
  said=$(systemd-analyze verify --man=no "$work/$unit" 2>&1) || complain "$said"
  [ -z "$said" ] || complain "$said"
done

table=$(systemd-analyze security --offline=true --threshold=$most_exposure "$PWD/axion-agent.service") || complain "$table"
helper=$(systemd-analyze security --offline=true --threshold=$most_of_helper "$PWD/axion-agent-update.service") || complain "$helper"
said=$(systemd-sysusers --dry-run "$PWD/axion-agent.sysusers.conf" 2>&1) || complain "$said"
exposure() { sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p'; }
echo "units: well-formed, exposure $(exposure <<<"$table") of at most 1.$((most_exposure % 10)), of the update helper" \
  "$(exposure <<<"$helper") of at most 1.$((most_of_helper % 10))"
