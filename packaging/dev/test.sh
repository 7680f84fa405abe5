#!/usr/bin/env bash
# test.sh: every test, and one summary of all test programs with its true exit code.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --locked --no-fail-fast 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

# libtest's lines are "test result: ok. 3 passed; 0 failed; 0 ignored; …", the bed's "end_to_end: 3 passed, 0 failed, 1 skipped".
sum() { grep -E '^test result: |^[a-z_]+: [0-9]+ passed, ' "$log" | grep -oE "[0-9]+ ($1)" | awk '{ n += $1 } END { print n + 0 }'; }

echo
grep -E '^test .* \.\.\. skipped: ' "$log" | sed 's/^test /skipped: /; s/ \.\.\. skipped: /: /'
grep -E '^test .* \.\.\. FAILED' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED.*//'
echo "tests: $(sum passed) passed, $(sum failed) failed, $(sum 'skipped|ignored') skipped"
exit "$code"
