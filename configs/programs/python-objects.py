"""Builds, changes and drops trees of objects, compiles sources, and matches texts."""

import ast
import re


class Node:
    __slots__ = ("key", "left", "right", "text")

    def __init__(self, key):
        self.key, self.left, self.right, self.text = key, None, None, "node %d" % key


def insert(root, key):
    node = root
    while True:
        side = "left" if key < node.key else "right"
        child = getattr(node, side)
        if child is None:
            setattr(node, side, Node(key))
            return
        node = child


root, key = Node(1 << 19), 1
for _ in range(60_000):
    key = (key * 1103515245 + 12345) % (1 << 20)
    insert(root, key)
count, depth, stack = 0, 0, [(root, 1)]
while stack:
    node, level = stack.pop()
    count, depth = count + 1, max(depth, level)
    stack.extend((child, level + 1) for child in (node.left, node.right) if child)
print(count, depth)

source = "\n".join("def f%d(a, b=%d):\n    return [x * b + %d for x in a if x %% 3]" % (n, n, n) for n in range(2500))
print(sum(1 for _ in ast.walk(ast.parse(source))), len(compile(source, "s", "exec").co_consts))

table = {}
for match in re.finditer(r"f(\d+)\(a, b=(\d+)\)", source):
    table["key " + match.group(1)] = [match.group(2)] * 40
print(len(table), sum(len(value) for value in table.values()), hash(tuple(sorted(map(len, table.values())))) & 0xFFFF)
