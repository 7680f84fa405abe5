#!/usr/bin/env bash
# test.sh [WORD ...]: every test, or those that these words choose for cargo test; and one summary of all test programs
# with its true exit code.
#
# One broker serves all programs (with-broker.sh). Engines and the registry are started by the programs that need them.
# Tests without what they need are named.
set -u

cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

packaging/dev/with-broker.sh cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

# libtest's lines are "test result: ok. 3 passed; 0 failed; …", those of tests/support "failures: 3 passed, 0 failed, 1 skipped".
sum() { grep -E '^test result: |^[a-z_]+: [0-9]+ passed, ' "$log" | grep -oE "[0-9]+ ($1)" | awk '{ n += $1 } END { print n + 0 }'; }

echo
sed -n 's/^test \(.*\) \.\.\. skipped: /skipped: \1: /p; s/^test \(.*\) \.\.\. ignored.*/skipped: \1/p' "$log"
sed -n 's/^test \(.*\) \.\.\. FAILED.*/failed: \1/p' "$log"
echo "tests: $(sum passed) passed, $(sum failed) failed, $(sum 'skipped|ignored') skipped"
exit "$code"
