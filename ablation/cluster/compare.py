#!/usr/bin/env python3
"""Compares the effects of two runs of one study: `compare.py WHOLE MERGED`, folders with effects.json.

Exit code 1 where an effect of one and that of the other differ by more than both intervals together allow. All
differences are held together at 99 % (Bonferroni); intervals in the files are at 95 %.
"""

import json
import statistics
import sys


def rows(folder):
    """Effects with an interval, by what they are about."""
    with open(f"{folder}/effects.json", encoding="utf-8") as file:
        effects = json.load(file)["effects"]
    timed = [row for row in effects if row["lo"] is not None and not row["response"].endswith("_per_op")]
    return {tuple(str(row[key]) for key in ("workload", "factor", "contrast", "arm", "response")): row for row in timed}


def main():
    whole, merged = rows(sys.argv[1]), rows(sys.argv[2])
    common = [key for key in whole if key in merged]
    if not common:
        sys.exit("compare.py: the two have no effect with an interval in common")
    normal = statistics.NormalDist()
    wider = normal.inv_cdf(1 - 0.01 / 2 / len(common)) / normal.inv_cdf(0.975)
    print(f"{'effect':<44}{'unsharded [95 %]':>30}{'merged [95 %]':>30}  at 99 %")
    agree = True
    for key in common:
        one, other = whole[key], merged[key]
        halves = [(row["hi"] - row["lo"]) / 2 for row in (one, other)]
        allowed = wider * (halves[0] ** 2 + halves[1] ** 2) ** 0.5
        is_within = abs(one["estimate"] - other["estimate"]) <= allowed
        agree &= is_within
        name = " ".join(part for part in key if part != "None")
        cells = [f"{row['estimate']:,.0f} [{row['lo']:,.0f}, {row['hi']:,.0f}]" for row in (one, other)]
        print(f"{name:<44}{cells[0]:>30}{cells[1]:>30}  {'agree' if is_within else 'DIFFER'}")
    missing = sorted(set(whole) ^ set(merged))
    for key in missing:
        print(f"in one of the two only: {' '.join(key)}")
    sys.exit(0 if agree and not missing else 1)


main()
