#!/usr/bin/env bash
# Builds and installs hakmem below a prefix: program, libraries, header, pkg-config and CMake files, man page, licences.
#
#     bash packaging/install.sh PREFIX
#
# DESTDIR   a folder in front of all paths, for packages
# LIBDIR    the folder of libraries below the prefix; `lib` by default
# BINARY    a program `hakmem` that is built already
# FEATURES  arguments of cargo for the library, such as `--no-default-features --features thread-cache`
#
# A file that is there and that no earlier installation has put there is left alone, and nothing is installed then.
set -euo pipefail
[ $# = 1 ] && [ -n "$1" ] || { echo "usage: bash packaging/install.sh PREFIX" >&2; exit 2; }
prefix=$(realpath --canonicalize-missing "$1")
cd "$(dirname "$0")/.."

libdir=${LIBDIR:-lib}
root=${DESTDIR:-}$prefix
target=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
list=share/hakmem/installed
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

read -ra features <<<"${FEATURES:-}"
cargo rustc --quiet --locked --profile preload --package hakmem --features preload --crate-type cdylib,staticlib --target-dir "$target" "${features[@]}"
binary=${BINARY:-}
if [ -z "$binary" ]; then
    cargo build --quiet --locked --release --package hakmem-cli --target-dir "$target"
    binary=$target/release/hakmem
fi

# The archive is one object: what is hidden in it becomes local, so that no other library's symbols meet it, and the parts
# of the compiler's runtime, which it does not use, stay out.
member=$(ar t "$target/preload/libhakmem.a" | grep '^hakmem[.-].*\.o$')
[ "$(wc -l <<<"$member")" = 1 ] || { echo "libhakmem.a has not one object but: $member" >&2; exit 1; }
ar p "$target/preload/libhakmem.a" "$member" >"$work/hakmem.o"
objcopy --strip-debug --localize-hidden "$work/hakmem.o"
ar rcsD "$work/libhakmem.a" "$work/hakmem.o"
strip --strip-unneeded -o "$work/libhakmem.so" "$target/preload/libhakmem.so"
strip -o "$work/hakmem" "$binary"
"$binary" man >"$work/hakmem.1"

# From the folder of libraries up to the prefix.
up=$(sed 's|[^/]\+|..|g' <<<"$libdir")
fill() { sed -e "s|@PREFIX@|$prefix|g; s|@LIBDIR@|$libdir|g; s|@VERSION@|$version|g; s|@UP@|$up|g" "packaging/$1.in" >"$work/$1"; }
fill hakmem.pc
fill hakmem-config.cmake
fill hakmem-config-version.cmake

# Mode, what, and where below the prefix.
files="755 $work/hakmem bin/hakmem
644 $work/libhakmem.so $libdir/libhakmem.so
644 $work/libhakmem.a $libdir/libhakmem.a
644 $work/hakmem.pc $libdir/pkgconfig/hakmem.pc
644 $work/hakmem-config.cmake $libdir/cmake/hakmem/hakmem-config.cmake
644 $work/hakmem-config-version.cmake $libdir/cmake/hakmem/hakmem-config-version.cmake
644 include/hakmem.h include/hakmem.h
644 $work/hakmem.1 share/man/man1/hakmem.1
644 LICENSE-MIT share/doc/hakmem/LICENSE-MIT
644 LICENSE-APACHE share/doc/hakmem/LICENSE-APACHE"

foreign=$(while read -r _ _ to; do
    [ ! -e "$root/$to" ] || grep -qxF "$to" "$root/$list" 2>/dev/null || echo "$root/$to"
done <<<"$files")
if [ -n "$foreign" ]; then
    echo "not installed: these files are there already, and are not of an earlier installation:" >&2
    echo "$foreign" >&2
    exit 1
fi
while read -r mode from to; do
    # A new file in the place of the old one: running programs keep what they have mapped.
    mkdir -p "$root/$(dirname "$to")"
    install -m "$mode" "$from" "$root/$to.new"
    mv "$root/$to.new" "$root/$to"
done <<<"$files"
mkdir -p "$root/$(dirname "$list")"
{ cut -d' ' -f3 <<<"$files"; echo "$list"; } >"$root/$list"
echo "hakmem $version is installed in $root; to remove it: just uninstall $1"
