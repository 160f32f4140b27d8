#!/usr/bin/env python3
"""Screens forty factors, then runs one factor at a time until it is as precise, and prints both beside what is planted.

    demo.py RUNNER FOLDER

RUNNER is the command of ablate, FOLDER a new folder for the results.
"""

import json
import math
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
STUDY = HERE / "study.toml"
# Links that src/main.rs plants, and those of an operation in the baseline.
PLANTED = {"f04": 40, "f12": 30, "f19": 25, "f27": 20, "f36": 50}
TOGETHER = {("f04", "f19"): 40}
BASELINE = 1000 + sum(PLANTED.values()) + sum(TOGETHER.values())


def ablate(runner, *words):
    started = time.monotonic()
    done = subprocess.run([*runner, "--quiet", *map(str, words)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"`{shlex.join(map(str, words))}` ended with {done.returncode}")
    return time.monotonic() - started


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    runner, folder = shlex.split(sys.argv[1]), Path(sys.argv[2])
    # Both build the same binary, which is not part of the comparison.
    folder.mkdir(parents=True)
    ablate(runner, "run", STUDY, "--blocks", 1, "--cell", "no-f01", "--out", folder / "built")

    screening = ablate(runner, "screen", STUDY, "--out", folder / "screening")
    result = json.loads((folder / "screening" / "screening.json").read_text())
    clean, one = result["clean"], result["clean"]["one_at_a_time"]
    blocks = max(6, math.ceil(one["mains"] / 41))
    alone = ablate(runner, "run", STUDY, "--blocks", blocks, "--out", folder / "one-at-a-time")
    rows = json.loads((folder / "one-at-a-time" / "effects.json").read_text())["effects"]
    rows = {row["factor"]: row for row in rows if row["response"] == "latency_ns_p10" and row["contrast"] == "on-off"}

    print(f"{'effect':10} {'planted':>9} {'screening':>11} {'found':>6} {'one at a time':>14} {'found':>6}")
    wrong = 0
    for effect in clean["effects"]:
        factors = tuple(effect["factors"])
        # A main effect is the mean over the levels of the others, so half of what two have together is part of each.
        links = PLANTED.get(factors[0], 0) + sum(v / 2 for pair, v in TOGETHER.items() if factors[0] in pair)
        links = links if len(factors) == 1 else TOGETHER.get(factors, 0)
        wrong += effect["found"] != (links > 0)
        if len(factors) == 2 and not effect["found"] and not links:
            continue
        row = rows.get(factors[0]) if len(factors) == 1 else None
        other = ("n/a", "n/a") if row is None else (f"{row['estimate_percent']:+.2f} %", yes(row["verdict"] == "costs"))
        planted = f"{100 * links / BASELINE:+.2f} %"
        print(f"{'x'.join(factors):10} {planted:>9} {effect['percent']:+9.2f} % {yes(effect['found']):>6} {other[0]:>14} {other[1]:>6}")
    kept = {factor["factor"] for factor in result["screen"]["factors"] if factor["kept"]}
    missed = [factor for factor in PLANTED if factor not in kept]
    false = [name for name, row in rows.items() if row["verdict"] in ("costs", "saves") and name not in PLANTED]
    print(f"screening: missed {missed or 'none'}, {wrong} wrong claims; one at a time: false findings {false or 'none'}")
    errors = [(row["hi"] - row["lo"]) / row["baseline"] for row in rows.values() if row.get("hi") and row.get("baseline")]
    half = f", median half-width {50 * statistics.median(errors):.3f} %" if errors else ""
    print(f"times: screening {screening:.0f} s; one at a time, main effects only, {blocks} blocks: {alone:.0f} s = "
          f"{alone / screening:.1f} times{half}")
    pairs = one["mains_and_pairs"] / one["mains"] * alone
    print(f"one at a time with all pairs, which finds the interaction: {pairs / 60:.0f} min by the same time per process = "
          f"{pairs / screening:.0f} times")
    sys.exit(1 if wrong or missed else 0)


def yes(found):
    return "yes" if found else "no"


main()
