#!/bin/sh
# The studies of this folder, into target/ablate: `just harness` runs those whose tools are here and says what the others
# need; `just harness gungraun` runs one. Words from the first option on go to the runner: `just harness libtest --blocks 3`.
# `run.sh RUNNER STAMP [NAME …] [OPTION …]`. MISSING=skip leaves out named studies as well whose tools are missing.
set -eu
runner=$1
stamp=$2
shift 2
cd "$(dirname "$0")/../.."

names=
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
    names="$names $1"
    shift
done
if [ -z "$names" ]; then
    names=$(cd configs/harness && for config in *.toml; do echo "${config%.toml}"; done)
    MISSING=skip
fi

# What a study needs and this machine lacks, as the command that installs it; nothing where all is there.
lacks() {
    has() { command -v "$1" >/dev/null; }
    case $1 in
    criterion | criterion-build | divan | libtest) ;;
    iai) has valgrind || echo "apt-get install valgrind" ;;
    gungraun)
        has valgrind || echo "apt-get install valgrind"
        has gungraun-runner || echo "cargo install gungraun-runner --version 0.19.4"
        ;;
    iai-callgrind)
        has valgrind || echo "apt-get install valgrind"
        has iai-callgrind-runner || echo "cargo install iai-callgrind-runner --version 0.16.1"
        ;;
    google-benchmark)
        has g++ || echo "apt-get install g++"
        [ -e /usr/include/benchmark/benchmark.h ] || echo "apt-get install libbenchmark-dev"
        ;;
    go) has go || echo "apt-get install golang-go" ;;
    hyperfine) has hyperfine || echo "apt-get install hyperfine" ;;
    pytest-benchmark) python3 -c "import pytest, pytest_benchmark" 2>/dev/null || echo "pip install pytest pytest-benchmark" ;;
    esac
}

skipped=
for name in $names; do
    if [ ! -f "configs/harness/$name.toml" ]; then
        echo "there is no study configs/harness/$name.toml; known: $(cd configs/harness && echo *.toml | sed 's/\.toml//g')" >&2
        exit 2
    fi
    install=$(lacks "$name" | paste -sd';' | sed 's/;/ \&\& /g')
    if [ -z "$install" ]; then
        echo "-- harness $name"
        $runner run "configs/harness/$name.toml" --out "target/ablate/harness-$name-$stamp" "$@"
    elif [ "${MISSING:-}" = skip ]; then
        skipped="$skipped
skipped: harness $name, whose tools are missing: $install"
    else
        echo "harness $name: its tools are missing; install them and call this again: $install" >&2
        exit 1
    fi
done
[ -z "$skipped" ] || echo "$skipped"
