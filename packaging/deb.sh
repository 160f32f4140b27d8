#!/usr/bin/env bash
# Builds the Debian package of [package.metadata.deb] in Cargo.toml: packaging/install.sh makes the files, cargo-deb packs them.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_deb=$(command -v cargo-deb || echo target/tools/bin/cargo-deb)
[ -x "$cargo_deb" ] || cargo install --quiet cargo-deb --version 3.8.0 --locked --root target/tools

rm -rf target/stage
DESTDIR=$PWD/target/stage bash packaging/install.sh /usr >/dev/null
"$cargo_deb" deb --no-build --no-strip --package hakmem --output target/debian
