#!/usr/bin/env bash
# build.sh ARCH: one static, stripped axion-agent for ARCH-unknown-linux-musl (x86_64 or aarch64). Prints where it is.
# Rust is rustup's if rustup can add the target, else Debian's; C and C++ are compiled by zig from the Python package
# ziglang. Caches and results are outside the clone. Quiet, unless it fails.
#   AXION_STATIC_RUST=rustup|debian   instead of the choice by itself
set -euo pipefail
cd "$(dirname "$0")/../.."

arch=${1:?which architecture: x86_64 or aarch64}
target=$arch-unknown-linux-musl
cache=${XDG_CACHE_HOME:-$HOME/.cache}/axion-agent/static
result=$cache/$arch/axion-agent
log=$cache/$arch/build.log

main() {
  case $arch in x86_64 | aarch64) ;; *) fail "no such architecture: $arch" ;; esac
  mkdir -p "$cache/$arch"
  exec 9>"$cache/lock"
  flock -n 9 || { echo "Another static build is running; waiting for it."; flock 9; }
  choose_rust
  choose_zig
  tools
  environment
  local started=$SECONDS
  [ -e "$result" ] || echo "The first build of $arch takes 15 to 30 minutes on two cores. Its log: $log"
  # Lists, maps and texts are in every loop: their part of the standard library goes before size.
  "$cargo" build --locked --profile dist --target "$target" --bin axion-agent \
    --config 'profile.dist.package.alloc.opt-level=2' --config 'profile.dist.package.core.opt-level=2' \
    --config 'profile.dist.package.std.opt-level="s"' \
    -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; fail "the build failed; all of its log: $log"; }
  install -m 755 "$CARGO_TARGET_DIR/$target/dist/axion-agent" "$result.new"
  mv "$result.new" "$result"
  cp "$tools/$arch.symbols" "$result.symbols"
  echo "$result"
  echo "$(stat -c %s "$result") bytes, sha256 $(sha256sum "$result" | cut -d ' ' -f 1), built in $((SECONDS - started)) s with $road's $("$RUSTC" --version | cut -d ' ' -f 1-2)"
}

fail() { echo "build.sh: $*" >&2; exit 1; }

# The standard library is compiled anew either way, for size and without unwinding, so its sources are needed too.
choose_rust() {
  road=${AXION_STATIC_RUST:-}
  if [ "$road" != debian ] && command -v rustup >/dev/null &&
    timeout 120 rustup target add "$target" >"$log" 2>&1 &&
    timeout 120 rustup component add rust-src >>"$log" 2>&1; then
    road=rustup
    cargo=$(rustup which cargo)
    RUSTC=$(rustup which rustc)
  else
    [ "$road" != rustup ] || { cat "$log" >&2; fail "rustup cannot add $target"; }
    packaging/dev/setup.sh debian-rust
    road=Debian
    cargo=/usr/bin/cargo
    RUSTC=/usr/bin/rustc
  fi
  export RUSTC
  # Building the standard library is an unstable feature of a stable cargo.
  export RUSTC_BOOTSTRAP=1
}

# zig, exactly as packaging/static/zig.txt names it.
choose_zig() {
  local home
  home=$cache/zig-$(sha256sum packaging/static/zig.txt | cut -c 1-12)
  export ZIG=$home/ziglang/zig
  [ ! -x "$ZIG" ] || return 0
  rm -rf "$home.new"
  python3 -m pip install -q --no-deps --require-hashes --only-binary :all: --target "$home.new" -r packaging/static/zig.txt >"$log" 2>&1 ||
    { cat "$log" >&2; fail "could not install zig from the Python package ziglang"; }
  mv "$home.new" "$home"
}

# The links that zig.sh is called by. They name copies outside the clone: their paths are part of what is cached. Cargo does
# not see what changes in them, so a change makes a clean start; zig remembers what it compiled with the same flags.
tools() {
  tools=$cache/tools
  local tool source=packaging/static
  for tool in zig.sh openssl.sh zig.txt stub; do
    diff -rq "$source/$tool" "$tools/$tool" >/dev/null 2>&1 || rm -rf "$cache/target" "$tools"
  done
  mkdir -p "$tools"
  cp -r "$source"/{zig.sh,openssl.sh,zig.txt,stub} "$tools/"
  for tool in cc c++ ar ranlib link; do ln -sf zig.sh "$tools/$arch-linux-musl-$tool"; done
  # What changes here changes the linker's name, which cargo does see: only the program is linked anew.
  local number
  number=$(cat "$source"/{link.sh,plain.sh,order.txt} | sha256sum | cut -c 1-12)
  linker=$tools/$arch-link-$number
  [ -e "$linker" ] || rm -f "$tools/$arch"-link-*
  cp "$source/plain.sh" "$tools/"
  cp "$source/order.txt" "$linker.order"
  cp "$source/link.sh" "$linker"
}

environment() {
  local us=${target//-/_} prefix=$tools/$arch-linux-musl
  export CARGO_TARGET_DIR=$cache/target
  export ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache ZIG_LOCAL_CACHE_DIR=$cache/zig-cache
  export "CC_$us=$prefix-cc" "CXX_$us=$prefix-c++" "AR_$us=$prefix-ar" "RANLIB_$us=$prefix-ranlib" "CXXSTDLIB_$us=c++"
  # grpcio-sys reads the plain names only, and the build scripts of the host must not.
  export CC=$prefix-cc CXX=$prefix-c++ AR=$prefix-ar RANLIB=$prefix-ranlib CXXSTDLIB=c++
  local host
  host=$("$RUSTC" -vV | sed -n 's/^host: //p' | tr - _)
  export "CC_$host=cc" "CXX_$host=c++" "AR_$host=ar" "RANLIB_$host=ranlib"
  export OPENSSL_SRC_PERL=$tools/openssl.sh

  # The same commit gives the same bytes: no path of this machine, and always the same time (OpenSSL notes one).
  local home=${CARGO_HOME:-$HOME/.cargo}
  export AXION_STATIC_PREFIX=$home/registry/src
  export SOURCE_DATE_EPOCH=315532800
  local upper=${us^^}
  export "CARGO_TARGET_${upper}_LINKER=$linker"
  export "CARGO_TARGET_${upper}_RUSTFLAGS=-C link-self-contained=no -C target-feature=+crt-static -C relocation-model=static \
-C force-unwind-tables=no --remap-path-prefix=$PWD=. --remap-path-prefix=$home=/cargo --remap-path-prefix=$CARGO_TARGET_DIR=/target"
}

main
