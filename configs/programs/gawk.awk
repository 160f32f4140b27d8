# Counts words and pairs of words, and sorts them.
NR > 16000 { exit }
{
    for (at = 1; at <= NF; at++) {
        count[$at]++
        if (at > 1) pair[$(at - 1) " " $at]++
        length_of[length($at)] = length_of[length($at)] substr($at, 1, 1)
    }
    gsub(/[aeiou]+/, "<&>")
    changed += length($0)
}
END {
    n = asorti(count, words)
    for (at = 1; at <= n; at += 997) print words[at], count[words[at]]
    m = 0
    for (key in pair) if (pair[key] > 2) { m++; sum += pair[key] }
    for (key in length_of) total += length(length_of[key])
    print n, m, sum, total, changed
}
