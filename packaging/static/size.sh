#!/usr/bin/env bash
# size.sh [ARCH]: the size of the static binary beside its budget; fails above the ceiling. packaging/SIZE.md explains it.
set -euo pipefail

goal=9000000     # bytes: where we want to be
ceiling=12000000 # bytes: a change that goes above this does not land

arch=${1:-x86_64}
binary=${XDG_CACHE_HOME:-$HOME/.cache}/axion-agent/static/$arch/axion-agent
bytes=$(stat -c %s "$binary")

millions() { awk -v n="$1" 'BEGIN { printf "%.2f MB", n / 1000000 }'; }

echo "axion-agent, $arch: $bytes bytes, $(millions "$bytes"); packed with gzip $(millions "$(gzip -9c "$binary" | wc -c)")"
echo "goal $(millions $goal), ceiling $(millions $ceiling)"
# Binutils that know the machine alone do not show the parts of another architecture.
{ size -A -d "$binary" 2>/dev/null || true; } | awk '$2 + 0 > 20000 && $3 > 0 { printf "  %-16s %9d\n", $1, $2 }'
if [ "$bytes" -gt $ceiling ]; then
  echo "size.sh: above the ceiling by $((bytes - ceiling)) bytes" >&2
  exit 1
elif [ "$bytes" -gt $goal ]; then
  echo "above the goal by $((bytes - goal)) bytes"
else
  echo "below the goal by $((goal - bytes)) bytes"
fi
