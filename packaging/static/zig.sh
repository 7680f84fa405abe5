#!/bin/sh
# zig.sh: zig as the cross toolchain for musl, behind links named ARCH-linux-musl-TOOL. TOOL is cc, c++, ar, ranlib
# or link (rustc would take a linker whose name ends in "ld" for another kind). build.sh makes the links and sets ZIG.
# It runs some 2,000 times in a build, so it starts no other program before zig.
set -eu
: "${ZIG:?the zig program, from the Python package ziglang}"
here=${0%/*} name=${0##*/}
arch=${name%%-*} tool=${name##*-}

# Small code; sections that the linker can drop one by one; no tables for unwinding, as nothing unwinds: Rust aborts
# and gRPC is written without exceptions; no position independence, as the program is linked to one place.
small="-Oz -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-pic -fno-pie"
# zstd: it reads everything, legacy formats of before 2016 aside, and writes at its fastest level only.
zstd="-UZSTD_LEGACY_SUPPORT -DZSTD_LEGACY_SUPPORT=0 -DHUF_FORCE_DECOMPRESS_X1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT
  -DZSTD_NO_INLINE -DDYNAMIC_BMI2=0 -DZSTD_EXCLUDE_DFAST_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR
  -DZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR
  -DZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR"
# abseil asks for lseek64; no paths of this machine in the program.
both="-D_LARGEFILE64_SOURCE -g0 -fno-sanitize=undefined -ffile-prefix-map=${AXION_STATIC_PREFIX:-/nowhere}=/deps"

# OpenSSL's assembly asks a compiler for its version, and leaves AVX and AVX-512 out for one that has none: 0.8 MB that
# only a server's throughput needs. AES-NI, SHA and SSE stay.
if [ "$tool $*" = "cc -v" ]; then
  echo "zig, for assembly without AVX" >&2
  exit 0
fi

case $tool in
  ar | ranlib) exec "$ZIG" "$tool" "$@" ;;
  cc) say=cc first="" last="$both $small $zstd -idirafter $here/stub" ;;
  # No xDS and no route lookup: service meshes have them. The warning is of a rule younger than gRPC 1.56.
  c++) say=c++ first="" last="$both $small -fno-exceptions -DGRPC_NO_XDS -DGRPC_NO_RLS -Wno-missing-template-arg-list-after-template-kw" ;;
  # Zig compiles the C library for the level of the link. The one for size copies memory byte by byte, at 2.6 GB/s where this
  # one has 57: half of what a short command did were such copies. It costs 0.1 MB.
  link) say=cc first="-O2" last="" ;;
  *) echo "zig.sh: no such tool: $tool" >&2; exit 2 ;;
esac

# Left out: what zig does not know (the triple as cc-rs writes it) and what it brings itself (libgcc).
count=$#
while [ "$count" -gt 0 ]; do
  word=$1
  shift
  count=$((count - 1))
  case $tool:$word in
    *:--target=* | *:-march=* | *:-mcpu=*) continue ;;
    *:-target) shift; count=$((count - 1)); continue ;;
    cc:-fPIC | c++:-fPIC | cc:-O[0-9s] | c++:-O[0-9s]) continue ;;
    # What only xDS uses is a third of gRPC's files: nothing would be linked of them, so they compile to nothing.
    c++:*/src/core/ext/*xds/*.cc) set -- "$@" -x c++ /dev/null; continue ;;
    cc:*/src/core/ext/upbdefs-generated/*.c | cc:*/src/core/ext/upb-generated/envoy/*.c) set -- "$@" -x c /dev/null; continue ;;
    link:-lgcc_s | link:-lgcc_eh | link:-lgcc | link:-Wl,-melf_*) continue ;;
  esac
  set -- "$@" "$word"
done
# shellcheck disable=SC2086 # lists of words
exec "$ZIG" $say -target "$arch-linux-musl" $first "$@" $last
