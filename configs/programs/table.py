#!/usr/bin/env python3
"""Prints a finished study of programs.toml as Markdown: what the subject takes over each peer, in time, peak and mean memory.

`table.py FOLDER`. A ratio below 1 is less than the peer's. The best peer of a row is in bold; the geometric means are over the
rows that have a value for all peers, without the control and the start-up."""

import json
import math
import os
import sys

APART = ("java", "start-up")


def main(folder):
    with open(os.path.join(folder, "effects.json")) as file:
        cells = json.load(file)["cells"]
    rows = {}
    for cell in cells:
        if cell["arm"] is None and cell["treatment"] != "placebo":
            name = cell["allocator"] if cell["allocator"] != "subject" else ""
            rows.setdefault(cell["workload"], {})[name] = cell
    peers = sorted({name for row in rows.values() for name in row} - {""})
    kinds = (
        ("Time", lambda cell: (cell["value"] or {}).get("value")),
        ("Peak of resident bytes", lambda cell: cell["rss_peak_bytes"]),
        ("Mean of resident bytes", lambda cell: cell["rss_mean_bytes"]),
    )
    for title, value in kinds:
        print("%s: hakmem over each peer\n\n| row | hakmem | %s |\n|---|---|%s" % (title, " | ".join(peers), "---|" * len(peers)))
        whole = []
        for workload, row in rows.items():
            own = value(row[""]) if "" in row else None
            if not own or workload == "start-up":
                continue
            ratios = [own / value(row[peer]) if peer in row and value(row[peer]) else None for peer in peers]
            most = max((ratio for ratio in ratios if ratio), default=None)
            shown = ["n/a" if not ratio else ("**%.2f**" if ratio == most else "%.2f") % ratio for ratio in ratios]
            unit = "%.0f ms" % (own / 1e6) if title == "Time" else "%.1f MiB" % (own / 2**20)
            print("| %s | %s | %s |" % (workload, unit, " | ".join(shown)))
            if workload not in APART and None not in ratios:
                whole.append(ratios)
        if whole:
            means = [math.exp(sum(map(math.log, column)) / len(whole)) for column in zip(*whole)]
            print("| geometric mean of %d | | %s |" % (len(whole), " | ".join("%.3f" % mean for mean in means)))
        print()


if __name__ == "__main__":
    main(sys.argv[1])
