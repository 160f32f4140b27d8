#!/bin/sh
# Makes the inputs of the examples in this folder, the same every time: inputs/events.json and inputs/tree.
set -eu
cd "$(dirname "$0")"
mkdir -p inputs

# 30,000 events, one JSON object per line, about 5 MB. The numbers come from Park and Miller's generator ("Random number
# generators: good ones are hard to find", CACM 31, 1988), which awk computes exactly.
awk 'function next_number(n) { state = (state * 16807) % 2147483647; return state % n }
BEGIN {
    state = 20251
    split("login logout view search buy refund share report", kinds, " ")
    for (i = 0; i < 30000; i++) {
        printf "{\"id\":%d,\"kind\":\"%s\",\"user\":{\"id\":%d,\"name\":\"user-%d\",\"tags\":[", i, kinds[1 + next_number(8)],
            next_number(5000), next_number(5000)
        tags = next_number(6)
        for (t = 0; t < tags; t++) printf "%s\"tag-%d\"", (t ? "," : ""), next_number(300)
        printf "]},\"price\":%d.%02d,\"ok\":%s}\n", next_number(1000), next_number(100), next_number(4) ? "true" : "false"
    }
}' > inputs/events.json

# 400 folders with 25 empty files each.
if [ ! -e inputs/tree/19/19/file-24.txt ]; then
    for a in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
        for b in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
            mkdir -p "inputs/tree/$a/$b"
            (cd "inputs/tree/$a/$b" && for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
                : > "file-$f.txt"
            done)
        done
    done
fi
