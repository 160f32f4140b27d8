#!/usr/bin/env python3
"""Tells which library serves `malloc` in each program of programs.toml, by what the loader itself says (LD_DEBUG, ld.so(8)).

`bindings.py [ROW …]`, from anywhere, after `just bench-programs` has made the inputs. A program that brings its own `malloc`
is shown with its own name, and a preloaded library does not serve it. Rows with a server prove themselves, and are left out.
Exit code 1 where another file than libhakmem.so serves."""

import collections
import glob
import os
import re
import subprocess
import sys
import tempfile
import tomllib

FOLDER = os.path.dirname(os.path.abspath(__file__))
BOUND = re.compile(r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `malloc'")


def main(wanted):
    with open(os.path.join(FOLDER, "programs.toml"), "rb") as config:
        study = tomllib.load(config)
    env = dict(study["subject"]["env"])
    env["LD_PRELOAD"] = os.path.realpath(os.path.join(FOLDER, env["LD_PRELOAD"]))
    code = 0
    for row in study["workload"]:
        name, command = row["name"], row["command"]
        if wanted and name not in wanted or "server.sh" in command or not os.path.exists(command[0]):
            continue
        bound = collections.defaultdict(set)
        with tempfile.TemporaryDirectory() as folder:
            told = {**env, "LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": os.path.join(folder, "told")}
            subprocess.run(command, cwd=FOLDER, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for path in glob.glob(os.path.join(folder, "told.*")):
                with open(path, errors="replace") as file:
                    for match in filter(None, map(BOUND.search, file)):
                        bound[match[1]].add(match[2])
        # An executable that takes the address of `malloc` gives others its own stub, which leads to what it is bound to.
        servers = {os.path.basename(to) for own in bound.values() for to in own if not bound.get(to, set()) - {to}}
        others = [library for library in servers if library != "libhakmem.so"]
        # The row compares a process with the library with one without.
        code = 1 if (others or not servers) and name != "start-up" else code
        print("%-15s %s" % (name, ", ".join(sorted(servers)) or "nothing asks for malloc by the loader"), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
