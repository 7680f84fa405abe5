#!/usr/bin/env bash
# check-unit.sh: the systemd unit is well-formed, keeps its exposure, and its account can be made.
# Needs no running systemd. Where its tools are missing or older than 250 it says so, and passes.
set -eu

most_exposure=16 # in tenths: 1.6

skip() { echo "unit: skipped, $*"; exit 0; }
complain() { echo "check-unit: $*" >&2; exit 1; }

command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
version=$(systemd-analyze --version | sed -n 's/^systemd \([0-9]*\).*/\1/p')
[ "$version" -ge 250 ] || skip "systemd $version cannot look at a unit that is not loaded"

cd "$(dirname "$0")/../systemd"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The agent need not be installed: any program stands for it.
sed "s#^ExecStart=/usr/bin/axion-agent#ExecStart=$(command -v env)#" axion-agent.service >"$work/axion-agent.service"
said=$(systemd-analyze verify --man=no "$work/axion-agent.service" 2>&1) || complain "$said"
[ -z "$said" ] || complain "$said"

table=$(systemd-analyze security --offline=true --threshold=$most_exposure "$PWD/axion-agent.service") || complain "$table"
said=$(systemd-sysusers --dry-run "$PWD/axion-agent.sysusers.conf" 2>&1) || complain "$said"
exposure=$(sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p' <<<"$table")
echo "unit: well-formed, exposure $exposure of at most 1.$((most_exposure % 10))"
