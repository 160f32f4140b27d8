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

    print(f"{'effect':9} {'planted':>8} {'screening':>10} {'found':>6}   {'planted, others on':>18} {'one at a time':>14} {'found':>6}")
    wrong = 0
    for effect in clean["effects"]:
        factors = tuple(effect["factors"])
        # A main effect is the mean over the levels of the others, so half of what two have together is part of each.
        together = sum(links for pair, links in TOGETHER.items() if factors[0] in pair)
        own = PLANTED.get(factors[0], 0) + together / 2 if len(factors) == 1 else TOGETHER.get(factors, 0)
        wrong += effect["found"] != (own > 0)
        if len(factors) == 2 and not effect["found"] and not own:
            continue
        others = ("n/a", "n/a", "n/a")
        if len(factors) == 1:
            row = rows[factors[0]]
            others = (percent(PLANTED.get(factors[0], 0) + together), f"{row['estimate_percent']:+.2f} %", yes(is_found(row)))
        shown = f"{effect['percent']:+.2f} %"
        print(f"{'x'.join(factors):9} {percent(own):>8} {shown:>10} {yes(effect['found']):>6}   {others[0]:>18} {others[1]:>14} {others[2]:>6}")
    kept = {factor["factor"] for factor in result["screen"]["factors"] if factor["kept"]}
    missed = [factor for factor in PLANTED if factor not in kept]
    false = [name for name, row in rows.items() if is_found(row) and name not in PLANTED]
    print(f"screening: missed {missed or 'none'}, wrong claims {wrong}; one at a time: false findings {false or 'none'}")
    # Half of an interval is two standard errors.
    errors = [(row["hi"] - row["lo"]) / 4 / row["estimate"] * row["estimate_percent"] for row in rows.values() if row["lo"]]
    print(f"standard error of a main effect: screening {one['main_error_percent']:.3f} %, one at a time {statistics.median(errors):.3f} %")
    print(f"time: screening {screening:.0f} s")
    print(f"      one at a time, main effects only, {blocks} blocks: {alone:.0f} s, {alone / screening:.1f} times as long")
    pairs = one["mains_and_pairs"] / one["mains"] * alone
    print(f"      one at a time and all pairs, which finds the interaction: {pairs / 60:.0f} min by the same time per process, "
          f"{pairs / screening:.0f} times as long")
    sys.exit(1 if wrong or missed else 0)


def percent(links):
    return f"{100 * links / BASELINE:+.2f} %"


def is_found(row):
    """Whether the interval that holds for all factors together is beyond 0."""
    return row["lo_all"] is not None and (row["lo_all"] > 0 or row["hi_all"] < 0)


def yes(found):
    return "yes" if found else "no"


main()
