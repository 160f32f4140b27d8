"""Threads, forks and JSON: prints the same on every allocator."""

import hashlib
import json
import os
import threading

results = {}


def work(name):
    rows = [{"name": f"{name}-{n}", "values": list(range(n % 50)), "text": "x" * (n % 3000)} for n in range(2000)]
    text = json.dumps(rows, sort_keys=True)
    assert json.loads(text) == rows
    results[name] = hashlib.sha256(text.encode()).hexdigest()


threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(4)]
for thread in threads:
    thread.start()
for n in range(5):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        work("child")
        os.write(writer, results["child"].encode())
        os._exit(0)
    os.close(writer)
    digest = os.read(reader, 64).decode()
    os.close(reader)
    _, status = os.waitpid(child, 0)
    results[f"child{n}"] = (digest, status)
for thread in threads:
    thread.join()
words = {}
for n in range(200_000):
    words.setdefault(f"w{n * 7919 % 5000}", []).append(n)
results["words"] = sum(len(places) * places[0] for places in words.values())
print(json.dumps(results, sort_keys=True, indent=1))
