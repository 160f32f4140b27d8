#!/bin/sh
# Real programs on the library for LD_PRELOAD and on its peers, into target/ablate: `just bench-programs`. A row whose program
# is missing is left out, and said; MISSING=install, as root, installs Debian's packages instead.
#
# `run.sh RUNNER OUT [NAME …] [OPTION …]`: without a name all rows. `quick` are twelve rows in two blocks, without targets, and
# `ci` are six short rows that machines have, on the peers that are here. Options are those of `cargo ablate run`.
set -eu
runner=$1
out=$2
shift 2
cd "$(dirname "$0")/../.."

names=
peers=build
few=
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
    case $1 in
    quick) names="$names perl gawk jq lua node python-json sqlite gcc sort xslt redis true" few="--blocks 2" ;;
    ci) names="$names perl gawk python-json git-log sort xz" few="--blocks 1" peers=here ;;
    *) names="$names $1" ;;
    esac
    shift
done
all=$(awk '/^\[\[/ { of = $0 } of == "[[workload]]" && /^name = / { gsub(/"/, "", $3); print $3 }' configs/programs/programs.toml)
wanted=${names:-$all}
for name in $wanted; do
    echo "$all" | grep -qx -e "$name" || { echo "there is no row $name; known: quick ci" $all >&2; exit 2; }
done

# The packages of a row, and the file that shows that they are there.
packages() {
    case $1 in
    python-*) echo "/usr/bin/python3 python3" ;;
    numpy) echo "/usr/lib/python3/dist-packages/numpy python3-numpy" ;;
    ruby) echo "/usr/bin/ruby ruby" ;;
    perl | fork-server) echo "/usr/bin/perl perl" ;;
    node) echo "/usr/bin/node nodejs" ;;
    lua) echo "/usr/bin/lua5.4 lua5.4" ;;
    php) echo "/usr/bin/php php-cli" ;;
    gcc) echo "/usr/bin/g++ g++" ;;
    clang) echo "/usr/bin/clang++ clang" ;;
    git-*) echo "/usr/bin/git git" ;;
    sqlite) echo "/usr/bin/sqlite3 sqlite3" ;;
    ghostscript) echo "/usr/bin/gs ghostscript" ;;
    poppler) echo "/usr/bin/pdftotext poppler-utils" ;;
    imagemagick) echo "/usr/bin/convert imagemagick" ;;
    xz) echo "/usr/bin/xz xz-utils" ;;
    xslt) echo "/usr/bin/xsltproc xsltproc" ;;
    dot) echo "/usr/bin/dot graphviz" ;;
    redis) echo "/usr/bin/redis-server redis-server" ;;
    nginx)
        echo "/usr/sbin/nginx nginx"
        echo "/usr/bin/ab apache2-utils"
        ;;
    postgres) echo "/usr/lib/postgresql postgresql" ;;
    java) echo "/usr/bin/javac default-jdk-headless" ;;
    sort | true | start-up) echo "/bin/true coreutils" ;;
    # The program has the name of its package.
    *) echo "/usr/bin/$1 $1" ;;
    esac
    # What makes the repository, and what drives a server.
    case $1 in redis | memcached | nginx | postgres) echo "/usr/bin/python3 python3" ;; esac
}
missing() { packages "$1" | while read -r file package; do [ -e "$file" ] || echo "$package"; done; }

if [ "${MISSING:-}" = install ]; then
    lacking=$(for name in $wanted; do missing "$name"; done | sort -u)
    [ -e /usr/lib/*/libtcmalloc_minimal.so.4 ] || lacking="$lacking libtcmalloc-minimal4"
    if [ -n "$lacking" ]; then
        apt-get update --quiet
        # A server of the system is not wanted, only its program.
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        code=0
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $lacking || code=$?
        rm /usr/sbin/policy-rc.d
        [ "$code" = 0 ] || exit "$code"
    fi
fi

skipped=
rows=
for name in $wanted; do
    lacking=$(missing "$name" | paste -sd' ')
    if [ -n "$lacking" ]; then
        skipped="$skipped
skipped: $name, whose packages are missing: apt-get install --no-install-recommends $lacking"
    else
        rows="$rows --workload $name"
    fi
done
[ -n "$rows" ] || { echo "no row is left:$skipped" >&2; exit 1; }

[ "$peers" = here ] || sh configs/programs/peers.sh
python3 configs/programs/inputs.py target/programs
if [ ! -e target/programs/java/Control.class ] && [ -z "$(missing java)" ]; then
    javac -d target/programs/java configs/programs/Control.java
fi
for name in $wanted; do
    [ "$name" != postgres ] || [ -n "$(missing postgres)" ] || sh configs/programs/make-database.sh target/programs/postgres
done

[ -z "$skipped" ] || echo "$skipped"
$runner run configs/programs/programs.toml $rows $few --out "$out" "$@"
[ -z "$skipped" ] || echo "$skipped"
