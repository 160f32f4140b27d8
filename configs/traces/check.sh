#!/bin/sh
# Programs beside the replays of their traces, under the same preloaded libraries: `configs/traces/check.sh RUNNER [OPTIONS]`
# runs the study and prints both orders of the allocators. Options go to `cargo ablate run`, `--quick` for two programs.
set -eu
cd "$(dirname "$0")/../.."
runner=$1
shift
programs=$PWD/configs/traces/programs
inputs=target/trace-check
study=target/ablate/trace-check-$(date -u +%Y%m%dT%H%M%S)

cargo build --quiet --profile cell --package bench_allocators
[ -e target/preload/libhakmem.so ] || cargo preload --quiet

rm -rf "$inputs"
mkdir -p "$inputs"
sh "$programs/statements.sh" >"$inputs/statements.sql"
python3 "$programs/solver.py" >"$inputs/problem.smt2"
sh "$programs/build-tool.sh" "$inputs/project"
g++ -std=c++17 -E "$programs/compiler.cpp" -o "$inputs/compiler.ii"
ln -s "$(g++ -print-prog-name=cc1plus)" "$inputs/cc1plus"

$runner run configs/trace-check.toml --out "$study" "$@" >"$inputs/report.txt"
cargo run --quiet --package ablate-format --example rank_agreement -- "$study"
echo "the whole report: $inputs/report.txt, of $study"
