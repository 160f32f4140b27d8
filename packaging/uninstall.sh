#!/usr/bin/env bash
# Removes what packaging/install.sh has put below a prefix, and the folders that are empty then.
#
#     bash packaging/uninstall.sh PREFIX
set -euo pipefail
[ $# = 1 ] && [ -n "$1" ] || { echo "usage: bash packaging/uninstall.sh PREFIX" >&2; exit 2; }
root=${DESTDIR:-}$(realpath --canonicalize-missing "$1")
list=$root/share/hakmem/installed
[ -f "$list" ] || { echo "hakmem is not installed in $root: there is no $list" >&2; exit 1; }
if grep -qsF "$root/" /etc/ld.so.preload; then
    echo "/etc/ld.so.preload names a library below $root: take it out first, or no program starts without a warning" >&2
    exit 1
fi

while read -r file; do
    rm -f "$root/$file"
    folder=$(dirname "$file")
    while [ "$folder" != . ] && rmdir "$root/$folder" 2>/dev/null; do
        folder=$(dirname "$folder")
    done
done < <(cat "$list")
echo "hakmem is removed from $root"
