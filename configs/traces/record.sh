#!/bin/sh
# Records a trace of this folder again: `configs/traces/record.sh NAME`, or `all`. Without a name it lists them. A trace that
# is there already is replaced once its program has ended well. It needs the packages of Debian that each part names, and
# `cargo recorder`; RUNNER names another `cargo ablate`, RECORDER another library.
#
# Counts differ by some per cent from run to run where threads are involved, and with the versions of the programs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
programs=$here/programs
cd "$here/../.."
runner=${RUNNER:-cargo ablate}
recorder=${RECORDER:-target/preload/libhakmem_trace.so}
names="interpreter compiler database key-value-server office solver build-tool rust-service"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Records the command into the trace.
record() {
    $runner trace record --recorder "$recorder" --level 19 --out "$scratch/$name.trace" -- "$@"
}

# Stops with the package where a command is missing.
need() {
    command -v "$1" >/dev/null || { echo "$name: $1 is missing; apt-get install --yes --no-install-recommends $2" >&2; exit 1; }
}

make_trace() {
    case $name in
    interpreter)
        # Objects come from malloc, and not from the interpreter's own pools above it.
        need /usr/bin/python3 python3
        cp "$programs/interpreter.py" "$scratch/interpreter.py"
        PYTHONMALLOC=malloc PYTHONHASHSEED=0 record /usr/bin/python3 "$scratch/interpreter.py"
        ;;
    compiler)
        need g++ g++
        g++ -std=c++17 -E "$programs/compiler.cpp" -o "$scratch/compiler.ii"
        record "$(g++ -print-prog-name=cc1plus)" -quiet -std=c++17 -O1 -fpreprocessed "$scratch/compiler.ii" -o /dev/null
        ;;
    database)
        need sqlite3 sqlite3
        sh "$programs/statements.sh" >"$scratch/statements.sql"
        record sqlite3 :memory: ".read $scratch/statements.sql"
        ;;
    key-value-server)
        need redis-server redis-server
        need redis-benchmark redis-tools
        sh "$programs/load-server.sh" "$scratch/socket" >"$scratch/load.log" &
        record redis-server --port 0 --unixsocket "$scratch/socket" --io-threads 3 --io-threads-do-reads yes --save "" \
            >"$scratch/server.log"
        ;;
    office)
        office=/usr/lib/libreoffice/program/soffice.bin
        need "$office" libreoffice-writer-nogui
        sh "$programs/office.sh" >"$scratch/report.html"
        convert="$office --headless --norestore -env:UserInstallation=file://$scratch/profile --convert-to pdf --outdir $scratch"
        # The first run makes the profile, and asks by its exit code to be started again.
        HOME=$scratch $convert "$scratch/report.html" >/dev/null || true
        HOME=$scratch record $convert "$scratch/report.html" >/dev/null
        ;;
    solver)
        need z3 z3
        python3 "$programs/solver.py" >"$scratch/problem.smt2"
        record z3 "$scratch/problem.smt2"
        ;;
    build-tool)
        need cmake cmake
        need ninja ninja-build
        sh "$programs/build-tool.sh" "$scratch/project"
        record cmake -S "$scratch/project" -B "$scratch/project/build" -G Ninja
        ;;
    rust-service)
        cargo build --quiet --profile cell --package bench_allocators --example key_value_service
        service=$scratch/key_value_service
        cp target/cell/examples/key_value_service "$service"
        (
            until [ -s "$scratch/port" ]; do sleep 0.1; done
            "$service" load "$(cat "$scratch/port")" 9000
        ) &
        record "$service" serve "$scratch/port"
        ;;
    *)
        echo "there is no trace $name; known: $names" >&2
        exit 2
        ;;
    esac
}

case ${1:-} in
'') echo "$names" && exit ;;
all) set -- $names ;;
esac
for name in "$@"; do
    make_trace
    wait
    mv "$scratch/$name.trace" "$here/$name.trace"
    ls -l "$here/$name.trace"
done
