"""An interpreter at work: text is split, counted, sorted and put together again, in objects of many sizes."""

import json


def words(seed, count):
    """Words of two to nine letters, from a generator with a seed."""
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2**31
        letters = 2 + seed // 65536 % 8
        yield "".join(chr(97 + (seed >> shift) % 26) for shift in range(letters))


class Node:
    """A tree by words."""

    def __init__(self, word):
        self.word, self.lines, self.left, self.right = word, [], None, None

    def add(self, word, line):
        node = self
        while node.word != word:
            side = "left" if word < node.word else "right"
            if getattr(node, side) is None:
                setattr(node, side, Node(word))
            node = getattr(node, side)
        node.lines.append(line)

    def walk(self):
        if self.left:
            yield from self.left.walk()
        yield self.word, self.lines
        if self.right:
            yield from self.right.walk()


def main():
    total = 0
    for chapter in range(12):
        text = "\n".join(" ".join(words(chapter * 100 + line, 9)) for line in range(150))
        root = Node("m")
        for number, line in enumerate(text.split("\n")):
            for word in line.split(" "):
                root.add(word.upper() if number % 3 else word, number)
        index = {word: sorted(set(lines)) for word, lines in root.walk()}
        packed = json.dumps({"chapter": chapter, "index": index})
        total += len(packed) + sum(len(lines) for lines in json.loads(packed)["index"].values())
    print(total)


main()
