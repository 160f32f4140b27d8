#!/usr/bin/env bash
# Builds the book: copies the Markdown files and pictures with their paths, so that their links hold, and moves the table of
# contents to the root of the copy, where mdbook wants it.
set -euo pipefail
cd "$(dirname "$0")/.."

mdbook=$(command -v mdbook || echo target/tools/bin/mdbook)
[ -x "$mdbook" ] ||
    cargo install --quiet mdbook --version 0.5.4 --locked --no-default-features --features search --root target/tools

rm -rf target/book-src
mkdir -p target/book-src
git ls-files -z '*.md' 'docs/images/*' | xargs -0 cp --parents --target-directory target/book-src
# A page README.md becomes index.html, and links to it do not follow by themselves.
find target/book-src -name "*.md" -exec sed -i "s|](\\([^):#]*\\)README\\.md|](\\1index.md|g" {} +
# Links of the table of contents are relative to docs/.
sed -e 's|](|](docs/|' -e 's|](docs/\.\./|](|' docs/SUMMARY.md >target/book-src/SUMMARY.md
rm target/book-src/docs/SUMMARY.md
"$mdbook" build
