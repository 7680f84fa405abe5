#!/usr/bin/env bash
# test.sh: every test, and one summary of all test programs with its true exit code.
set -u

work=$(mktemp -d)
log=$work/tests.log
engine=
# engine.sh cleans up when it is told to end.
trap '[ -z "$engine" ] || { kill "$engine" && wait "$engine"; } 2>/dev/null; rm -rf "$work"' EXIT

# The tests of the Docker room talk to an engine directly; the bed of the others brings its own.
if [ -z "${AXION_TEST_ENGINE:-}" ]; then
  packaging/dev/engine.sh "$work/engine" >"$work/ready" 2>"$work/engine.log" &
  engine=$!
  while kill -0 "$engine" 2>/dev/null && ! grep -q '^ready ' "$work/ready"; do sleep 0.1; done
  AXION_TEST_ENGINE=$(sed -n 's/^ready \([^ ]*\) .*/\1/p' "$work/ready")
  if [ -n "$AXION_TEST_ENGINE" ]; then export AXION_TEST_ENGINE; else unset AXION_TEST_ENGINE; cat "$work/engine.log"; fi
fi

cargo test --locked --no-fail-fast 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

# libtest's lines are "test result: ok. 3 passed; 0 failed; 0 ignored; …", the bed's "end_to_end: 3 passed, 0 failed, 1 skipped".
sum() { grep -E '^test result: |^[a-z_]+: [0-9]+ passed, ' "$log" | grep -oE "[0-9]+ ($1)" | awk '{ n += $1 } END { print n + 0 }'; }

echo
grep -E '^test .* \.\.\. skipped: ' "$log" | sed 's/^test /skipped: /; s/ \.\.\. skipped: /: /'
grep -E '^test .* \.\.\. FAILED' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED.*//'
echo "tests: $(sum passed) passed, $(sum failed) failed, $(sum 'skipped|ignored') skipped"
exit "$code"
