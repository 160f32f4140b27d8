#!/bin/sh
# Builds the peers of `just bench-programs` as libraries for LD_PRELOAD, in target/peers, from the newest sources that crates
# carry. A library that is there and whose sources have not changed stays. `peers.sh`, from anywhere.
#
# Each is built as its own makers build a shared library that replaces malloc: optimised, without assertions, with
# thread-local variables of the initial-exec model.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
mkdir -p "$root/target/peers"
out=$(cd "$root/target/peers" && pwd)
stamp=$(cat "$here/peers.sh" "$here/peers/Cargo.lock" | sha256sum)
if [ "$(cat "$out/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi
rm -rf "$out/stamp" "$out/sources" "$out/build"
cargo vendor --quiet --locked --manifest-path "$here/peers/Cargo.toml" "$out/sources" >"$out/vendor.log"

common="-O3 -DNDEBUG -fPIC -shared -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc -pthread"
for version in v2 v3; do
    echo "peers: mimalloc $version"
    sources=$out/sources/libmimalloc-sys/c_src/mimalloc/$version
    cc $common -std=gnu11 -w -DMI_MALLOC_OVERRIDE -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT \
        -I"$sources/include" "$sources/src/static.c" -o "$out/libmimalloc-$version.so" -latomic
done

echo "peers: snmalloc"
sources=$out/sources/snmalloc-sys/upstream/src
c++ $common -std=gnu++20 -w -mcx16 -fno-rtti -fomit-frame-pointer -ffunction-sections \
    '-DSNMALLOC_EXPORT=__attribute__((visibility("default")))' -DMALLOC_USABLE_SIZE_QUALIFIER=const \
    -DSNMALLOC_CHECK_LOADS=false -DSNMALLOC_PAGEID=false -DSNMALLOC_NO_REALLOCARR -DSNMALLOC_NO_REALLOCARRAY \
    -DSNMALLOC_HAS_LINUX_FUTEX_H -DSNMALLOC_HAS_LINUX_RANDOM_H -DSNMALLOC_PLATFORM_HAS_GETENTROPY \
    -DSNMALLOC_PTHREAD_ATFORK_WORKS -DSNMALLOC_USE_CXX11_THREAD_ATEXIT_DIRECT -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 \
    -I"$sources" "$sources/snmalloc/override/malloc.cc" "$sources/snmalloc/override/new.cc" \
    -static-libstdc++ -o "$out/libsnmalloc.so" -latomic

echo "peers: rpmalloc"
sources=$out/sources/rpmalloc-sys/rpmalloc/rpmalloc
cc $common -std=gnu11 -w -DENABLE_PRELOAD=1 -DENABLE_OVERRIDE=1 -fvisibility=default \
    -I"$sources" "$sources/rpmalloc.c" -o "$out/librpmalloc.so" -ldl

echo "peers: jemalloc"
mkdir "$out/build"
cp -R "$out/sources/tikv-jemalloc-sys/jemalloc/." "$out/build"
cp "$out/sources/tikv-jemalloc-sys/configure/configure" "$out/build"
(
    cd "$out/build"
    # The crate leaves out the version's file, without which configure asks git.
    version=5.3.1-0-g81034ce1f1373e37dc865038e1bc8eeecf559ce8
    sh ./configure --disable-doc --with-version="$version" && make -j2 build_lib_shared
) >"$out/jemalloc.log" 2>&1 || { tail -20 "$out/jemalloc.log" >&2; exit 1; }
cp "$out/build/lib/libjemalloc.so.2" "$out/libjemalloc.so"
rm -rf "$out/build"
echo "$stamp" >"$out/stamp"
