#!/usr/bin/env python3
"""Makes the inputs of programs.toml in target/programs, from fixed seeds: the same bytes on every machine.

`inputs.py FOLDER`. A folder that this version of the script has filled stays as it is. Only integers are drawn, because
`random` promises the same sequence of `getrandbits` in every version of Python."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import zlib

GIT = "/usr/bin/git"


def words(rng, count):
    """Text of `count` words, the frequent ones short, as in a language."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    known = []
    for rank in range(40_000):
        length = 2 + rank.bit_length() // 2 + rng.getrandbits(2)
        known.append("".join(letters[min(rng.getrandbits(5), rng.getrandbits(5)) % 26] for _ in range(length)))
    lines, line = [], []
    for _ in range(count):
        bits = rng.getrandbits(4)
        line.append(known[rng.getrandbits(15) >> bits if bits < 15 else 0])
        if len(line) >= 9 + (bits & 3):
            lines.append(" ".join(line))
            line = []
    return "\n".join(lines) + "\n"


def records(rng, count):
    """JSON: an array of objects with nested ones."""
    out = []
    for at in range(count):
        tags = ",".join('"t%d"' % rng.getrandbits(9) for _ in range(1 + rng.getrandbits(3)))
        out.append(
            '{"id":%d,"name":"user %d","group":"g%d","score":%d.%02d,"tags":[%s],'
            '"address":{"street":"street %d","city":"city %d","zip":"%05d"},"text":"%s"}'
            % (at, rng.getrandbits(20), rng.getrandbits(6), rng.getrandbits(10), rng.getrandbits(6), tags,
               rng.getrandbits(12), rng.getrandbits(8), rng.getrandbits(16), "x" * rng.getrandbits(7))
        )
    return "[" + ",\n".join(out) + "]\n"


def cplusplus(rng):
    """C++ with templates of the standard library, of as many types."""
    head = ["#include <algorithm>", "#include <map>", "#include <memory>", "#include <string>", "#include <vector>", "namespace generated {"]
    body = []
    for at in range(3):
        fields = "".join("  %s f%d;\n" % (("int", "std::string", "double", "std::vector<int>")[rng.getrandbits(2)], n) for n in range(6))
        body.append("struct S%d {\n%s  int key = %d;\n};" % (at, fields, rng.getrandbits(10)))
        body.append(
            "int use%d(std::vector<S%d> in) {\n  std::map<int, std::vector<std::unique_ptr<S%d>>> by;\n"
            "  for (auto &s : in) by[s.key %% %d].push_back(std::make_unique<S%d>(s));\n"
            "  std::sort(in.begin(), in.end(), [](const S%d &a, const S%d &b) { return a.key < b.key; });\n"
            "  int sum = 0;\n  for (auto &[k, v] : by) for (auto &s : v) sum += k * s->key;\n  return sum;\n}"
            % (at, at, at, 3 + rng.getrandbits(4), at, at, at)
        )
    calls = " + ".join("use%d({})" % at for at in range(3))
    return "\n".join(head + body + ["int all() { return %s; }" % calls, "}", ""])


def rust(rng):
    """A Rust library of structures, traits and maps."""
    out = ["use std::collections::{BTreeMap, HashMap};", "pub trait Area { fn area(&self) -> u64; }"]
    for at in range(2):
        out.append(
            "#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)] pub struct S%d { pub a: u64, pub b: String, pub c: Vec<u32> }\n"
            "impl Area for S%d { fn area(&self) -> u64 { self.a.wrapping_mul(%d) + self.c.iter().map(|x| u64::from(*x)).sum::<u64>() } }\n"
            "pub fn group%d(all: &[S%d]) -> BTreeMap<String, Vec<S%d>> {\n"
            "    let mut by: HashMap<u64, Vec<S%d>> = HashMap::new();\n"
            "    for one in all { by.entry(one.area() %% %d).or_default().push(one.clone()); }\n"
            "    by.into_iter().map(|(k, mut v)| { v.sort(); (format!(\"{k}\"), v) }).collect()\n}"
            % (at, at, 1 + rng.getrandbits(8), at, at, at, at, 2 + rng.getrandbits(5))
        )
    return "\n".join(out) + "\n"


def postscript(rng):
    """PostScript: text in several sizes, and curves."""
    out = ["%!PS-Adobe-3.0"]
    for page in range(12):
        for line in range(60):
            out.append("/Times-Roman findfont %d scalefont setfont 40 %d moveto" % (7 + rng.getrandbits(3), 780 - line * 12))
            out.append("(%s) show" % " ".join("%x" % rng.getrandbits(20) for _ in range(14)))
        for _ in range(400):
            at = [rng.getrandbits(9) for _ in range(8)]
            out.append("%d %d moveto %d %d %d %d %d %d curveto %d 255 div setgray stroke" % (*at, rng.getrandbits(8)))
        out.append("showpage")
    return "\n".join(out) + "\n"


def pdf(rng):
    """A PDF of text pages, in compressed streams."""
    objects = []
    pages = 700
    kids = " ".join("%d 0 R" % (4 + 2 * page) for page in range(pages))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(("<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, kids)).encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for page in range(pages):
        lines = ["BT /F1 9 Tf 40 800 Td 11 TL"]
        for _ in range(66):
            lines.append("(%s) Tj T*" % " ".join("%x" % rng.getrandbits(24) for _ in range(12)))
        lines.append("ET")
        stream = zlib.compress("\n".join(lines).encode(), 6)
        objects.append(
            ("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
             % (5 + 2 * page)).encode()
        )
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(stream) + stream + b"\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def picture(rng):
    """A PPM of 1,000 by 700 pixels, smooth with noise."""
    width, height = 1000, 700
    noise = rng.getrandbits(8 * width * height).to_bytes(width * height, "little")
    out = bytearray()
    for y in range(height):
        for x in range(width):
            n = noise[y * width + x] >> 3
            out += bytes(((x * 255 // width + n) & 255, (y * 255 // height + n) & 255, (x * y // 4000 + n) & 255))
    return b"P6\n%d %d\n255\n" % (width, height) + bytes(out)


def sat(rng, variables, clauses):
    """Random 3-SAT below the threshold, with a planted solution, so that a solver works and ends."""
    truth = [rng.getrandbits(1) for _ in range(variables)]
    out = []
    while len(out) < clauses:
        chosen = [rng.getrandbits(20) % variables for _ in range(3)]
        signs = [rng.getrandbits(1) for _ in range(3)]
        if len(set(chosen)) == 3 and any(truth[v] == s for v, s in zip(chosen, signs)):
            out.append(" ".join(str(v + 1 if s else -v - 1) for v, s in zip(chosen, signs)) + " 0")
    return "p cnf %d %d\n%s\n" % (variables, clauses, "\n".join(out))


def smt(rng, count, arrays):
    """Equations of bit vectors and integers that are asserted, checked and popped, as a verifier asks them."""
    out = ["(set-logic ALL)"]
    out += ["(declare-const a%d (Array Int Int))" % n for n in range(arrays)]
    out += ["(declare-const i%d Int)" % n for n in range(24)]
    out += ["(declare-const v%d (_ BitVec 16))" % n for n in range(12)]
    for _ in range(count):
        out.append("(push 1)")
        for _ in range(12):
            i, j, k = (rng.getrandbits(8) % 24 for _ in range(3))
            out.append("(assert (< (+ i%d (* %d i%d)) (+ i%d %d)))" % (i, 1 + rng.getrandbits(3), j, k, rng.getrandbits(7)))
            a = rng.getrandbits(4) % arrays
            out.append("(assert (or (= (select a%d i%d) i%d) (> (select (store a%d i%d %d) i%d) i%d)))" % (a, i, j, a, k, rng.getrandbits(5), j, k))
        v, w, x = (rng.getrandbits(8) % 12 for _ in range(3))
        out.append("(assert (= (bvadd v%d (bvmul v%d #x%04x)) (bvxor v%d #x%04x)))" % (v, w, rng.getrandbits(16), x, rng.getrandbits(16)))
        out += ["(check-sat)", "(pop 1)"]
    return "\n".join(out) + "\n"


def graph(rng):
    """A graph for dot."""
    edges = ["n%d -> n%d [label=\"e%d\"];" % (rng.getrandbits(7), rng.getrandbits(7), rng.getrandbits(6)) for _ in range(220)]
    return "digraph g {\n%s\n}\n" % "\n".join(edges)


def xml(rng):
    """A list of books, for xsltproc."""
    books = []
    for at in range(50_000):
        books.append(
            '<book id="b%d"><title>Title %d</title><author>Author %d</author><year>%d</year><price>%d</price></book>'
            % (at, rng.getrandbits(16), rng.getrandbits(9), 1900 + rng.getrandbits(6), rng.getrandbits(7))
        )
    return "<books>\n%s\n</books>\n" % "\n".join(books)


XSLT = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text"/>
<xsl:key name="by" match="book" use="author"/>
<xsl:template match="/books"><xsl:for-each select="book[generate-id() = generate-id(key('by', author)[1])]">
<xsl:sort select="author"/><xsl:value-of select="concat(author, ' ', count(key('by', author)), ' ', sum(key('by', author)/price), '&#10;')"/>
</xsl:for-each></xsl:template>
</xsl:stylesheet>
"""


def repository(folder, rng):
    """A git repository of 2,200 commits to 120 files, through fast-import."""
    os.mkdir(folder)
    quiet = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {"PATH": "/usr/bin:/bin", "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([GIT, "init", "-q", "--bare", "-b", "main", "."], env=env, **quiet)
    texts = [["line %d of file %d" % (rng.getrandbits(16), at) for _ in range(150)] for at in range(120)]
    stream = []
    for commit in range(2_200):
        when = 1_600_000_000 + commit * 3600
        message = "Change %d" % commit
        stream.append("commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata %d\n%s\n" % (when, len(message), message))
        for _ in range(120 if commit == 0 else 1 + rng.getrandbits(2)):
            at = commit % 120 if commit == 0 else rng.getrandbits(12) % 120
            for _ in range(5):
                texts[at][rng.getrandbits(12) % len(texts[at])] = "line %d of file %d" % (rng.getrandbits(16), at)
            text = "\n".join(texts[at]) + "\n"
            stream.append("M 100644 inline d%d/f%d.txt\ndata %d\n%s\n" % (at % 8, at, len(text), text))
    data = "".join(stream).encode()
    subprocess.run([GIT, "fast-import", "--quiet"], env=env, input=data, **quiet)


def main(folder):
    # A machine that gets git later makes the repository then.
    stamp = hashlib.sha256(open(__file__, "rb").read()).hexdigest() + (" with git" if os.path.exists(GIT) else "")
    mark = os.path.join(folder, "stamp")
    if os.path.exists(mark) and open(mark).read() == stamp:
        return
    print("inputs: some seconds, into", folder, flush=True)
    os.makedirs(folder, exist_ok=True)
    shutil.rmtree(os.path.join(folder, "repository"), ignore_errors=True)
    # Each input has a generator of its own, so that a change of one leaves the others as they are.
    made = {
        "words.txt": lambda rng: words(rng, 700_000),
        "records.json": lambda rng: records(rng, 26_000),
        "generated.cc": cplusplus,
        "generated.rs": rust,
        "pages.ps": postscript,
        "pages.pdf": pdf,
        "picture.ppm": picture,
        "minisat.cnf": lambda rng: sat(rng, 40_000, 128_000),
        "cadical.cnf": lambda rng: sat(rng, 80_000, 264_000),
        "z3.smt2": lambda rng: smt(rng, 300, 6),
        "cvc5.smt2": lambda rng: smt(rng, 40, 6),
        "graph.dot": graph,
        "books.xml": xml,
        "books.xsl": lambda _: XSLT,
    }
    for name, make in made.items():
        data = make(random.Random(name))
        with open(os.path.join(folder, name), "wb") as out:
            out.write(data.encode() if isinstance(data, str) else data)
    if os.path.exists(GIT):
        repository(os.path.join(folder, "repository"), random.Random("repository"))
    with open(mark, "w") as out:
        out.write(stamp)


if __name__ == "__main__":
    main(sys.argv[1])
