#!/usr/bin/env bash
# check-dependencies.sh: what the agent may be made of. Reads the lock file through cargo; no network.
set -eu

most_crates=160
runtimes='tokio|async-std|smol|hyper|mio|reqwest|tonic|actix-rt'
licences='MIT|Apache-2.0|Apache-2.0 WITH LLVM-exception|BSD-2-Clause|BSD-3-Clause|ISC|Zlib|0BSD|BSL-1.0|Unicode-3.0|Unlicense|CC0-1.0|MIT-0'

tree() { cargo tree --locked --edges "$1" --prefix none --format "$2" | sed 's/ (\*)$//' | sort -u; }

bad=0
complain() { echo "check-dependencies: $*" >&2; bad=1; }

# The crate must stay synchronous: no runtime, however it is brought in.
found=$(tree normal '{p}' | grep -E "^($runtimes) v" || true)
[ -z "$found" ] || complain "an asynchronous runtime or a client built on one: $found"

count=$(tree normal '{p}' | wc -l)
[ "$count" -le "$most_crates" ] || complain "$count crates, at most $most_crates are allowed"

# One TLS library: a second copy or kind would double its weight and its advisories.
tls=$(tree normal '{p}' | grep -cE '^(openssl-sys|rustls|boring-sys|boringssl-src|aws-lc-sys|ring|native-tls|mbedtls-sys) v' || true)
[ "$tls" = 1 ] || complain "$tls TLS libraries instead of one: $(tree normal '{p}' | grep -E '^(openssl-sys|rustls|boring|aws-lc|ring|native-tls|mbedtls)' | tr '\n' ' ')"

# Of an OR one side must be allowed, of an AND both.
while IFS='|' read -r package licence; do
  allowed=no
  while read -r choice; do
    if ! echo "$choice" | sed 's/ AND /\n/g' | grep -qvxE "$licences"; then allowed=yes; fi
  done < <(echo "$licence" | sed 's/[()]//g; s#/# OR #g; s/ OR /\n/g')
  [ $allowed = yes ] || complain "the licence of $package is not on the list: ${licence:-none}"
done < <(tree normal,build '{p}|{l}')

[ $bad = 0 ] && echo "dependencies: $count crates, one TLS library, no runtime, licences allowed"
exit $bad
