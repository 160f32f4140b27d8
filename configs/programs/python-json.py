"""Reads JSON, groups and sorts its records, and writes it again."""

import json
import sys

data = json.load(open(sys.argv[1]))
groups = {}
for record in data:
    groups.setdefault(record["group"], []).append(record)
    record["words"] = record["name"].split() + [tag.upper() for tag in record["tags"]]
total = 0
for name in sorted(groups):
    records = sorted(groups[name], key=lambda record: (-record["score"], record["id"]))
    text = json.dumps([{"id": r["id"], "w": r["words"], "a": r["address"]} for r in records])
    total += len(text)
    print(name, len(records), len(text), records[0]["id"])
print(total)
