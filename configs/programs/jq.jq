# Groups, sorts and rewrites records.
.[:16000] | group_by(.group)
| map({ group: .[0].group, count: length, best: (sort_by(-.score, .id) | .[0] | { id, name, city: .address.city }),
        tags: (map(.tags[]) | unique | length), text: (map(.text | length) | add) })
| sort_by(-.count, .group)
