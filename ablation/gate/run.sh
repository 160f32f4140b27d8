#!/usr/bin/env bash
# Runs the step `Compare` of github.yml for real: in clones of a small repository, with pull requests whose effect is
# known. Prints what the gate says of each. Fails when one is judged
# wrongly; undecided, as on a busy machine, is not wrong.
#
#   ablation/gate/run.sh PROGRAM [NULLS]    PROGRAM: cargo-ablate; NULLS: pull requests without an effect (default 1)
set -euo pipefail
program=$(realpath "$1")
nulls=${2:-1}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MARGIN=${MARGIN:-1} MAX_TIME=${MAX_TIME:-3m}
# `cargo ablate` finds the program under this name.
mkdir "$work/bin"
ln -s "$program" "$work/bin/cargo-ablate"
export PATH="$work/bin:$PATH"
export GIT_AUTHOR_NAME=gate GIT_AUTHOR_EMAIL=gate@invalid GIT_COMMITTER_NAME=gate GIT_COMMITTER_EMAIL=gate@invalid

# The lines of the step, as the runner would execute them.
awk '/- name: Compare/ { step = 1 } step && /run: \|/ { text = 1; next } text && /^      - / { exit } text' \
    "$here/github.yml" > "$work/step.sh"
grep -q 'cargo ablate diff' "$work/step.sh"

# The repository that pull requests are for.
cp -r "$here/crate" "$work/origin"
printf 'target\n' > "$work/origin/.gitignore"
(cd "$work/origin" && git init -q -b main && cargo generate-lockfile -q && git add -A && git commit -qm "the crate")

wrong=0 undecided=0 alarms=0
# One pull request: its name, the sed expression that changes the library, and what the gate has to say.
pull_request() {
    local name=$1 change=$2 expected=$3 clone="$work/clone"
    rm -rf "$clone"
    git clone -q "$work/origin" "$clone"
    (cd "$clone" && git checkout -qb "$name" && sed -i "$change" src/lib.rs && git commit -qam "$name")
    local started=$SECONDS code=0
    (cd "$clone" && BASE=origin/main CARGO_TARGET_DIR="$work/target" bash -e "$work/step.sh" > "$work/out" 2> "$work/err") || code=$?
    local said
    said=$(sed -n 's/^gate: //p' "$work/err" | tail -1)
    printf '%-16s gate %-9s (right: %s), exit code %s, %4d s: %s\n' "$name" "${said:-none}" "$expected" "$code" \
        $((SECONDS - started)) "$(head -1 "$work/out")"
    case "$said/$code" in
        worse/1 | good/0 | undecided/0) ;;
        *) cat "$work/err"; wrong=$((wrong + 1)); return ;;
    esac
    if [ "$said" = undecided ]; then
        undecided=$((undecided + 1))
    elif [ "$said" != "$expected" ]; then
        wrong=$((wrong + 1))
        if [ "$expected" = good ]; then alarms=$((alarms + 1)); fi
    fi
}

pull_request slower-2-percent 's/ROUNDS: u32 = 5_000/ROUNDS: u32 = 5_100/' worse
pull_request faster-2-percent 's/ROUNDS: u32 = 5_000/ROUNDS: u32 = 4_900/' good
pull_request only-a-comment 's/^pub fn mix/\/\/ A comment.\npub fn mix/' good
for null in $(seq "$nulls"); do
    # Another binary, whose measured code is the same.
    pull_request "null-$null" "s/mixed: {x}/$(head -c "$null" /dev/zero | tr '\0' m)ixed: {x} {x:x}/" good
done
echo "of $nulls pull requests without an effect $alarms gave an alarm; $undecided of $((nulls + 3)) are undecided"
# One alarm in twenty is what 95 % promise.
[ $((wrong - alarms)) = 0 ] && [ "$alarms" -le $(((nulls + 19) / 20)) ]
