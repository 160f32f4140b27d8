#!/usr/bin/env python3
"""Compares the effects of two runs of one study: `compare.py WHOLE MERGED`, folders with effects.json.

Effects are held against each other in percent of their run's baseline: a processor that has another clock for one of the
runs changes baseline and effect alike. Exit code 1 where the effects differ by more than both intervals together allow. All
differences are held together at 99 % (Bonferroni); intervals in the files are at 95 %.
"""

import json
import statistics
import sys


def rows(folder):
    """Effects with an interval in percent of the baseline, by what they are about."""
    with open(f"{folder}/effects.json", encoding="utf-8") as file:
        effects = json.load(file)["effects"]
    found = {}
    for row in effects:
        # Counts are exact, and memory is sampled in runs that happen to be long.
        if row["response"].endswith("_per_op") or row["response"].startswith("rss_"):
            continue
        if row["lo"] is None or not row["estimate"] or not row["estimate_percent"]:
            continue
        percent = row["estimate_percent"] / row["estimate"]
        key = tuple(str(row[name]) for name in ("workload", "factor", "contrast", "arm", "response"))
        found[key] = [row[name] * percent for name in ("estimate", "lo", "hi")] + [row["estimate"]]
    return found


def main():
    whole, merged = rows(sys.argv[1]), rows(sys.argv[2])
    common = [key for key in whole if key in merged]
    if not common:
        sys.exit("compare.py: the two have no effect with an interval in common")
    normal = statistics.NormalDist()
    wider = normal.inv_cdf(1 - 0.01 / 2 / len(common)) / normal.inv_cdf(0.975)
    print(f"{'effect':<44}{'unsharded [95 %]':>38}{'merged [95 %]':>38}  at 99 %")
    agree = True
    for key in common:
        both = whole[key], merged[key]
        halves = [(high - low) / 2 for _, low, high, _ in both]
        allowed = wider * (halves[0] ** 2 + halves[1] ** 2) ** 0.5
        is_within = abs(both[0][0] - both[1][0]) <= allowed
        agree &= is_within
        name = " ".join(part for part in key if part != "None")
        cells = [f"{value:,.0f} = {share:+.2f} % [{low:.2f}, {high:.2f}]" for share, low, high, value in both]
        print(f"{name:<44}{cells[0]:>38}{cells[1]:>38}  {'agree' if is_within else 'DIFFER'}")
    missing = sorted(set(whole) ^ set(merged))
    for key in missing:
        print(f"in one of the two only: {' '.join(key)}")
    sys.exit(0 if agree and not missing else 1)


main()
