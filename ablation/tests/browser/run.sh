#!/usr/bin/env bash
# Opens the reports of finished studies in Chromium: `run.sh RUNNER [--pictures DIR] STUDY…`. Without a study it runs a short
# one and takes the archived ones that have their records. What is missing is named; exit code 3 then, or 0 with MISSING=skip.
set -euo pipefail
cd "$(dirname "$0")/../../.."
runner=$1
shift
options=()
if [ "${1:-}" = --pictures ]; then
    options=("$1" "$(realpath "$2")")
    shift 2
fi
for tool in "${CHROMIUM:-chromium}" "${CHROMEDRIVER:-chromedriver}" node npm; do
    command -v "$tool" >/dev/null && continue
    echo "browser: $tool is not installed; apt-get install chromium chromium-driver nodejs npm" >&2
    [ "${MISSING:-}" = skip ] && exit 0
    exit 3
done
export CHROMIUM CHROMEDRIVER
CHROMIUM=$(command -v "${CHROMIUM:-chromium}")
CHROMEDRIVER=$(command -v "${CHROMEDRIVER:-chromedriver}")

place=target/browser
mkdir -p "$place"
cp ablation/tests/browser/{package.json,package-lock.json,page.mjs} "$place"
npm ci --prefix "$place" --silent --no-audit --no-fund

studies=("$@")
if [ ${#studies[@]} = 0 ]; then
    rm -rf "$place/studies"
    mkdir -p "$place/studies"
    $runner run configs/smoke.toml --blocks 4 --out "$place/studies/smoke" --quiet >/dev/null
    cp -r results/shapes results/bench-memory "$place/studies"
    studies=("$place"/studies/*)
fi
pages=()
for study in "${studies[@]}"; do
    pages+=("$($runner report "$study" --html --quiet)")
done
# Chromium leaves folders of its own behind, and some of its processes end after it.
temporary=$(mktemp -d)
trap 'rm -rf "$temporary" || { sleep 1; rm -rf "$temporary"; }' EXIT
TMPDIR=$temporary PAGE_SCRIPT=ablation/src/report/html/page.js node "$place/page.mjs" "${options[@]}" "${pages[@]}"
