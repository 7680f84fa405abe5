#!/usr/bin/env bash
# setup.sh PART ...: installs what is missing on a Debian machine, and nothing that is there.
#   build  a C++ compiler, CMake and Perl for the C libraries; Rust, unless a recent one is installed
#   bed    a Docker Engine and BusyBox for the private engine of tests and demo
#   engines  what makes a root folder for another engine
#   order  valgrind
#   lint   rustfmt, clippy, shellcheck and systemd's tools, which need no running systemd
#   static what packaging/static starts from
#   emulation    qemu, to run another architecture's binary
#   debian-rust  Rust with the sources of its standard library, where rustup has none for the target
# Needs root only if something is missing. Prints nothing if nothing is.
set -eu

rust_minor=90 # Rust 1.90: rust-version in Cargo.toml

# Packages with a service would start it: what we install is for ourselves, and started by ourselves.
# shellcheck disable=SC2016 # for an inner shell
no_services='policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf "#!/bin/sh\nexit 101\n" >$policy
    chmod +x $policy
  fi;'

main() {
  for part in "$@"; do
    case $part in
      build) build ;;
      bed) bed ;;
      engines) engines ;;
      order) order ;;
      lint) lint ;;
      static) static ;;
      emulation) emulation ;;
      debian-rust) debian_rust ;;
      *) fail "no such part: $part" ;;
    esac
  done
}

fail() { echo "setup.sh: $*" >&2; exit 1; }

have() { command -v "$1" >/dev/null; }

build() {
  missing=
  want cmake cmake
  want g++ g++
  want make make
  want perl perl
  want pkg-config pkg-config
  # librdkafka's build reads this header and links nothing of it.
  header curl/curl.h libcurl4-openssl-dev
  install
  recent_rust || rust
}

bed() {
  # Only root can start a private engine; others use one that runs already.
  [ "$(id -u)" = 0 ] || return 0
  missing=
  want dockerd docker.io
  static_busybox || missing="$missing busybox-static"
  want iptables iptables
  want ip iproute2
  want unshare util-linux
  want pgrep procps
  want curl curl
  # For the tests of logins and digests.
  want docker-registry docker-registry
  # It reads the metrics, and says whether they are well made.
  want promtool prometheus
  install
}

engines() {
  missing=
  want debootstrap debootstrap
  install
}

order() {
  missing=
  want valgrind valgrind
  install
}

lint() {
  missing=
  want shellcheck shellcheck
  # Elsewhere check-unit.sh does without.
  ! have apt-get || want systemd-analyze systemd
  install
  if have rustup; then
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    return
  fi
  cargo fmt --version >/dev/null 2>&1 || missing=" $(first_recent rustfmt-web rustfmt)"
  cargo clippy --version >/dev/null 2>&1 || missing="$missing $(first_recent rust-clippy-web rust-clippy)"
  install
  cargo clippy --version >/dev/null 2>&1 || fail "there is no clippy for this Rust among the packages; rustup has one"
}

static() {
  missing=
  want cmake cmake
  want cc gcc
  want make make
  want perl perl
  want file file
  want curl curl
  want openssl openssl
  want python3 python3
  install
  python3 -m pip --version >/dev/null 2>&1 || { missing=" python3-pip"; install; }
}

emulation() {
  missing=
  want qemu-aarch64-static qemu-user-static
  install
}

# Debian's Rust for building browsers has the sources of the standard library beside it.
debian_rust() {
  missing=
  [ -x /usr/bin/rustc ] || missing="$missing rustc-web"
  [ -x /usr/bin/cargo ] || missing="$missing cargo-web"
  [ -e /usr/lib/rustlib/src/rust/library ] || missing="$missing rust-web-src"
  install
}

want() { have "$1" || missing="$missing $2"; } # PROGRAM PACKAGE

header() { echo "#include <$1>" | c++ -E -x c++ - >/dev/null 2>&1 || missing="$missing $2"; } # FILE PACKAGE

static_busybox() { have busybox && busybox --list | grep -qx httpd && ! ldd "$(command -v busybox)" >/dev/null 2>&1; }

# Installs the packages in $missing.
install() {
  [ -n "${missing// /}" ] || return 0
  have apt-get || fail "please install:$missing"
  echo "Installing:$missing"
  refresh
  # shellcheck disable=SC2086 # a list of words
  quietly as_root env DEBIAN_FRONTEND=noninteractive bash -c "$no_services"' apt-get install -yq --no-install-recommends "$@"' setup $missing
  missing=
  hash -r
}

# Reads the package lists, once.
refresh() {
  [ -z "${refreshed:-}" ] || return 0
  quietly as_root apt-get update -q
  refreshed=yes
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else
    have sudo || fail "needs root for: $*"
    sudo "$@"
  fi
}

# Shows what a command said only if it failed.
quietly() {
  local said
  said=$(mktemp)
  "$@" >"$said" 2>&1 || { cat "$said" >&2; rm -f "$said"; fail "failed: $*"; }
  rm -f "$said"
}

recent_rust() {
  have cargo && have rustc || return 1
  local minor
  minor=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  [ "${minor:-0}" -ge $rust_minor ]
}

# Debian first: a stable release carries a recent Rust for building browsers. Else rustup.
rust() {
  local rustc
  ! have apt-get || refresh
  rustc=$(first_recent rustc-web rustc)
  if [ -n "$rustc" ]; then
    missing=" $rustc ${rustc/rustc/cargo}"
    install
  elif have rustup || [ -n "$(candidate rustup)" ]; then
    have rustup || { missing=" rustup"; install; }
    rustup toolchain install --profile minimal --component rustfmt,clippy stable
  fi
  recent_rust || fail "Rust 1.$rust_minor or later is needed: see https://rustup.rs"
}

candidate() { ! have apt-cache || apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p'; }

# The first of these packages of Rust's that is recent enough for us.
first_recent() {
  local name minor
  for name in "$@"; do
    minor=$(candidate "$name" | sed -n 's/^1\.\([0-9]*\)\..*/\1/p')
    if [ "${minor:-0}" -ge $rust_minor ]; then echo "$name"; return; fi
  done
}

main "$@"
