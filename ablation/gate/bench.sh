#!/usr/bin/env bash
# `cargo ablate diff` beside criterion's own comparison, on the benchmarks of a crate that others wrote (bytecount), with a
# planted slowdown of 2 %, and with nothing planted. Prints the time that each takes for an interval of the same width, and
# how often each raises an alarm where nothing changed.
#
#   ablation/gate/bench.sh PROGRAM [RUNS]    PROGRAM: cargo-ablate; RUNS: comparisons with nothing planted (default 50)
set -euo pipefail
program=$(realpath "$1")
runs=${2:-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
id=counts/naive/100000
margin=1
export GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@invalid GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@invalid
export CARGO_TARGET_DIR="$work/target"

# The crate as it was published, and two changes: 2 % of the bytes are read twice; a text that no measured code reads.
mkdir "$work/fetch" && cd "$work/fetch"
cargo init -q --lib --name fetch && cargo add -q bytecount@=0.6.9 && cargo fetch -q
cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/bytecount-0.6.9 "$work/crate"
cd "$work/crate"
printf 'target\n' > .gitignore
git init -q -b main && git add -A -f && git commit -qm published
sed -i '/^pub fn naive_count(/,/^}/ s/^    utf8_chars$/    let again = core::hint::black_box(\&utf8_chars[..utf8_chars.len() \/ 50]);\n    core::hint::black_box(again.iter().fold(0, |n, c| n + (*c == needle) as usize));\n    utf8_chars/' src/naive.rs
git diff --quiet && { echo "nothing was planted: naive_count looks otherwise than expected" >&2; exit 1; }
git commit -qam "2 % more work"
git tag planted
git checkout -q main~1 -b null
sed -i 's/^fn bench_counts(.*{$/&\n    eprintln!("nothing changed");/' benches/bench.rs
git commit -qam "another text"
git tag null-change
git checkout -q main~1

seconds() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", to - from }'; }
field() { python3 -c 'import json, sys; row = json.load(open(sys.argv[1]))["parts"][0]["workloads"][0]; change = row["change"]; print(row["verdict"], change["value"] * 100, change["low"] * 100, change["high"] * 100)' "$1"; }
ablate() { # REVISION SEED [TIME]: writes $work/ablate.json and prints the seconds
    local from code=0
    from=$(date +%s.%N)
    "$program" --quiet diff "HEAD..$1" --bench bench --filter "^$id\$" --margin "$margin" --seed "$2" \
        --max-time "${3:-5m}" --json \
        > "$work/ablate.json" || code=$?
    seconds "$from" "$(date +%s.%N)"
    return "$code"
}
# Built once by each, so that the times are those of measuring.
echo "building"
ablate planted 1 2s > /dev/null
ablate null-change 1 2s > /dev/null
for name in base planted null-change; do
    git checkout -q "$([ $name = base ] && echo main~1 || echo $name)"
    built=$(CARGO_TARGET_DIR="$work/criterion" cargo bench --bench bench --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -1)
    cp "$built" "$work/$name"
done
git checkout -q main~1

criterion() { # BINARY SECONDS: compares with the baseline, prints "verdict low high" in percent
    (cd "$work" && CRITERION_HOME="$work/home" "$work/base" --bench --noplot --warm-up-time 1 --measurement-time "$2" \
        --save-baseline base "^$id\$" > /dev/null 2>&1)
    (cd "$work" && CRITERION_HOME="$work/home" "$work/$1" --bench --noplot --warm-up-time 1 --measurement-time "$2" \
        --baseline base "^$id\$" > "$work/criterion.out" 2>&1)
    local verdict=none
    grep -q 'has regressed' "$work/criterion.out" && verdict=worse
    grep -q 'has improved' "$work/criterion.out" && verdict=better
    python3 -c 'import glob, json, sys; mean = json.load(open(glob.glob(sys.argv[1] + "/home/**/change/estimates.json", recursive=True)[0]))["mean"]; interval = mean["confidence_interval"]; print(sys.argv[2], mean["point_estimate"] * 100, interval["lower_bound"] * 100, interval["upper_bound"] * 100)' "$work" "$verdict"
}

echo "a planted change of 2 %, $id"
took=$(ablate planted 2)
read -r verdict value low high < <(field "$work/ablate.json")
width=$(awk -v low="$low" -v high="$high" 'BEGIN { print high - low }')
printf '  %-24s %6s s  %-7s %+.2f %% [%.2f, %.2f]\n' "cargo ablate diff" "$took" "$verdict" "$value" "$low" "$high"
for budget in 2 5 10 20 40 80 160; do
    from=$(date +%s.%N)
    read -r verdict value low high < <(criterion planted "$budget")
    took=$(seconds "$from" "$(date +%s.%N)")
    printf '  %-24s %6s s  %-7s %+.2f %% [%.2f, %.2f]\n' "criterion, $budget s a side" "$took" "$verdict" "$value" "$low" "$high"
    if awk -v low="$low" -v high="$high" -v width="$width" 'BEGIN { exit !(high - low <= width) }'; then break; fi
done

echo "nothing changed, $runs comparisons each"
ours=0 theirs=0 ours_took=0 theirs_took=0
for run in $(seq "$runs"); do
    took=$(ablate null-change "$((run + 100))")
    ours_took=$(awk -v a="$ours_took" -v b="$took" 'BEGIN { print a + b }')
    read -r verdict _ < <(field "$work/ablate.json")
    case $verdict in worse | better) ours=$((ours + 1)) ;; esac
    from=$(date +%s.%N)
    read -r verdict _ < <(criterion null-change 5)
    theirs_took=$(awk -v a="$theirs_took" -v b="$(seconds "$from" "$(date +%s.%N)")" 'BEGIN { print a + b }')
    if [ "$verdict" != none ]; then theirs=$((theirs + 1)); fi
done
printf '  %-24s %3d alarms, %6.0f s\n' "cargo ablate diff" "$ours" "$ours_took" "criterion, 5 s a side" "$theirs" "$theirs_took"
