#!/usr/bin/env bash
# link.sh: what rustc calls as its linker. build.sh copies it beside zig.sh, as ARCH-link-NUMBER, with the list as ARCH-link-NUMBER.order.
# Zig makes lld's command and knows no list of functions; so its command is taken, and given to lld once more with one.
#
# The list names what an idle agent runs, and then what a deploy runs (order.sh makes it). Those functions come first and beside each
# other. The first part is as good as all of the program that is in memory while nothing happens: 1 MB of 8. Scattered as the linker
# finds them they keep 6 MB there, because the kernel maps sixteen pages for each that is used. The second part is what is mapped anew
# with each deploy, and by each command line.
#
# Beside itself it leaves ARCH.symbols, the program with its symbols, for profilers and for order.sh.
set -euo pipefail
: "${ZIG:?the zig program, from the Python package ziglang}"
arch=${0##*/}
arch=${arch%%-*}

said=$(ZIG_VERBOSE_LINK=1 "${0%/*}/$arch-linux-musl-link" "$@" 2>&1) || { echo "$said" >&2; exit 1; }
grep -v '^ld\.lld ' <<<"$said" >&2 || true
# Zig does not quote: a path with a blank in it would be two words, and lld says that it finds neither.
# What it links before that are libraries of its own.
read -ra words <<<"$(grep '^ld\.lld ' <<<"$said" | tail -n 1)"
[ "${#words[@]}" -gt 0 ] || { echo "link.sh: zig has not said how it links" >&2; exit 1; }

output='' whole=()
for ((at = 1; at < ${#words[@]}; at++)); do
  case ${words[at]} in
    -o) output=${words[++at]} ;;
    -s) ;;
    *) whole+=("${words[at]}") ;;
  esac
done
symbols=${0%/*}/$arch.symbols order=$output.order script=$output.ld
# Tables for unwinding come with the libraries that zig brings compiled, and nothing unwinds.
echo 'SECTIONS { /DISCARD/ : { *(.eh_frame) } } INSERT AFTER .text;' >"$script"
# librdkafka brings a broker for its own tests, which only its property test.mock.num.brokers starts: nothing here sets that.
for made in mock_cluster_new mock_cluster_destroy mock_cluster_bootstraps mock_broker_set_rtt; do
  whole+=("--defsym=rd_kafka_$made=abort")
done
whole+=(--defsym=unittest_mock_cluster=abort)
# Functions that are the same are one, unless somebody compares their addresses.
whole+=(--icf=safe -T "$script")

# Which functions there are says lld's map, of any architecture: the names of symbols stand farthest to the right.
map=$output.map
"$ZIG" ld.lld "${whole[@]}" -o "$symbols" --no-demangle "-Map=$map"
names=$(sed -nE 's/^.* {16,}([^ ]+)$/\1/p' "$map" | LC_ALL=C sort -u)
paste -d '\t' <("${0%/*}/plain.sh" <<<"$names") - <<<"$names" |
  awk -F '\t' 'NR == FNR { place[$0] = NR; next } $1 in place { print place[$1] "\t" $2 }' "$0.order" - |
  sort -s -n -k 1,1 | cut -f 2 >"$order"
[ -s "$order" ] || { echo "link.sh: the program has none of the functions in the list" >&2; exit 1; }

# Some are in several libraries of which one is linked, and some names are those of several functions: no word about that.
ordered=("${whole[@]}" "--symbol-ordering-file=$order" --no-warn-symbol-ordering)
"$ZIG" ld.lld "${ordered[@]}" -o "$symbols"
"$ZIG" ld.lld "${ordered[@]}" -s -o "$output"
rm "$order" "$map" "$script"
