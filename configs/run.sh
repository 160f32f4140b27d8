#!/bin/sh
# The studies of configs/harness or configs/servers, into target/ablate: `just harness` and `just servers` run those whose
# tools are here and say what the others need; `just servers redis` runs one. Words from the first option on go to the
# runner: `just harness libtest --blocks 3`.
# `run.sh harness|servers RUNNER STAMP [NAME …] [OPTION …]`. MISSING=skip leaves out named studies as well whose tools are
# missing; MISSING=install, as root, installs Debian's packages on a machine that is made for this.
set -eu
folder=$1
runner=$2
stamp=$3
shift 3
cd "$(dirname "$0")/.."

all=$(cd "configs/$folder" && for config in *.toml; do echo "${config%.toml}"; done)
names=
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
    names="$names $1"
    shift
done
if [ -z "$names" ]; then
    names=$all
    MISSING=${MISSING:-skip}
fi
# Servers are measured in their quick form: their full one takes minutes.
quick=
[ "$folder" = harness ] || quick=--quick

PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/sbin
# What a study needs and this machine lacks, as the commands that install it; nothing where all is there.
lacks() {
    # `need COMMAND PACKAGE`
    need() { command -v "$1" >/dev/null || echo "apt-get install --yes --no-install-recommends $2"; }
    case $1 in
    criterion | criterion-build | divan | libtest) ;;
    iai) need valgrind valgrind ;;
    gungraun)
        need valgrind valgrind
        command -v gungraun-runner >/dev/null || echo "cargo install gungraun-runner --version 0.19.4"
        ;;
    iai-callgrind)
        need valgrind valgrind
        command -v iai-callgrind-runner >/dev/null || echo "cargo install iai-callgrind-runner --version 0.16.1"
        ;;
    google-benchmark)
        need g++ g++
        [ -e /usr/include/benchmark/benchmark.h ] || echo "apt-get install --yes libbenchmark-dev"
        ;;
    go) need go golang-go ;;
    hyperfine) need hyperfine hyperfine ;;
    pytest-benchmark) python3 -c "import pytest, pytest_benchmark" 2>/dev/null || echo "pip install pytest pytest-benchmark" ;;
    redis)
        need redis-server redis-server
        need redis-benchmark redis-tools
        ;;
    nginx)
        need nginx nginx
        need ab apache2-utils
        ;;
    postgres)
        need postgres postgresql
        need pgbench postgresql
        ;;
    esac
}

# Runs the commands that a study lacks.
install() {
    apt-get update --quiet
    # A server of the system is not wanted, only its program.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    echo "$1" | DEBIAN_FRONTEND=noninteractive sh -e || { rm /usr/sbin/policy-rc.d; return 1; }
    rm /usr/sbin/policy-rc.d
}

skipped=
for name in $names; do
    if [ ! -f "configs/$folder/$name.toml" ]; then
        echo "there is no study configs/$folder/$name.toml; known:" $all >&2
        exit 2
    fi
    missing=$(lacks "$name")
    shown=$(echo "$missing" | paste -sd';' | sed 's/;/ \&\& /g')
    case "${missing:+${MISSING:-}}" in
    skip)
        skipped="$skipped
skipped: $folder/$name, whose tools are missing: $shown"
        continue
        ;;
    install) install "$missing" ;;
    *)
        if [ -n "$missing" ]; then
            echo "$folder/$name: its tools are missing; install them and call this again: $shown" >&2
            exit 1
        fi
        ;;
    esac
    echo "-- $folder/$name"
    $runner run "configs/$folder/$name.toml" $quick --out "target/ablate/$folder-$name-$stamp" "$@"
done
[ -z "$skipped" ] || echo "$skipped"
