"""Rows with a server: starts it with the allocator, waits until it serves, runs the load and ends it.

Driver and clients run without the allocator. What counts is the time of the load, and the memory of the server with its
processes while the load lasts: proportional shares (Pss), so that pages that a fork shares count once. The result line at the
end has both, and the hash of all answers. A server that does not map the library is an error.

`servers.py NAME`, with the library in ALLOCATOR, or nothing for the system's allocator."""

import glob
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
INPUTS = os.path.join(FOLDER, "..", "..", "target", "programs")
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
# Samples take at most a fiftieth of the time, and are this far apart at least, in seconds.
APART, TIMES = 0.015, 50


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def draw(state):
    """The next number of a linear congruential generator of 31 bits."""
    return (state * 1103515245 + 12345) & 0x7FFFFFFF


def tree(pid):
    found = [pid]
    for one in found:
        for task in glob.glob("/proc/%d/task/*/children" % one):
            try:
                found += [int(child) for child in open(task).read().split()]
            except OSError:
                pass
    return found


def resident(pid):
    total = 0
    for one in tree(pid):
        try:
            rollup = open("/proc/%d/smaps_rollup" % one).read()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


class Memory(threading.Thread):
    """Peak and mean of a process tree, until `stop`."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.done = pid, threading.Event()
        self.peak, self.area, self.seconds, self.last = 0, 0.0, 0.0, None

    def run(self):
        while True:
            before, worked = time.monotonic(), time.thread_time()
            now = resident(self.pid)
            if self.last:
                self.area += (before - self.last[0]) * (now + self.last[1]) / 2
                self.seconds += before - self.last[0]
            self.last, self.peak = (before, now), max(self.peak, now)
            if self.done.wait(max(APART, (time.thread_time() - worked) * TIMES)):
                break

    def stop(self):
        self.done.set()
        self.join()
        # The end of the load, which may be the most.
        now = resident(self.pid)
        self.peak = max(self.peak, now)
        return self.peak, round(self.area / self.seconds) if self.seconds else now


def talk(port, requests, answers):
    """Sends prepared requests while another thread reads as many answers as `answers` says; returns what came back."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        sender = threading.Thread(target=link.sendall, args=(requests,))
        sender.start()
        digest, left = hashlib.sha256(), answers
        while left:
            data = link.recv(1 << 18)
            if not data:
                raise SystemExit("the server closed the connection")
            digest.update(data)
            left -= data.count(b"\n") if answers > 0 else 0
            if left < 0:
                raise SystemExit("more answers than requests")
        sender.join()
    return digest.hexdigest()


def redis(scratch, port, start):
    """Pipelined writes, reads and deletions of several kinds of values, with a snapshot by a forked process in the middle."""
    start(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", scratch, "--save", "", "--loglevel", "warning"])

    def one(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    state, parts, answers = 1, [], 0
    for at in range(360_000):
        state = draw(state)
        key, kind = b"k%d" % ((state >> 8) % 90_000), state % 7
        if kind < 3:
            parts.append(one(b"SET", key, b"v" * (16 + (state >> 12) % 500)))
        elif kind == 3:
            parts.append(one(b"HSET", b"h" + key, b"f%d" % (at % 13), b"w" * (at % 90)))
        elif kind == 4:
            parts.append(one(b"RPUSH", b"l%d" % (at % 900), key))
        elif kind == 5:
            parts.append(one(b"DEL", key))
        else:
            parts.append(one(b"STRLEN", key))
        answers += 1
        if at == 180_000:
            parts.append(one(b"BGSAVE"))
            answers += 1
    parts.append(one(b"DBSIZE"))
    requests = b"".join(parts)

    def load():
        digest = talk(port, requests, answers + 1)
        # The snapshot ends, too.
        with socket.create_connection(("127.0.0.1", port)) as link:
            while True:
                link.sendall(one(b"INFO", b"persistence"))
                if b"rdb_bgsave_in_progress:0" in link.recv(1 << 16):
                    return digest
                time.sleep(0.002)

    return load


def memcached(scratch, port, start):
    """Four connections set, replace and delete values of many sizes."""
    start(["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "2", "-m", "512", "-u", pwd.getpwuid(65534).pw_name])
    jobs = []
    for client in range(4):
        state, parts = client + 1, []
        for at in range(80_000):
            state = draw(state)
            key = b"c%dk%d" % (client, (state >> 8) % 14_000)
            if state % 5 == 4:
                parts.append(b"delete %s\r\n" % key)
            else:
                size = 20 + (state >> 10) % 700
                parts.append(b"set %s 0 0 %d\r\n%s\r\n" % (key, size, b"v" * size))
        jobs.append((b"".join(parts), 80_000))

    def load():
        digests = [None] * len(jobs)

        def work(at):
            digests[at] = talk(port, *jobs[at])

        threads = [threading.Thread(target=work, args=(at,)) for at in range(len(jobs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return "".join(digests)

    return load


def nginx(scratch, port, start):
    """Requests for a small file, and for a text that is compressed on the way, by `ab` over connections that stay."""
    files = os.path.join(scratch, "files")
    os.mkdir(files)
    shutil.copy(os.path.join(INPUTS, "graph.dot"), os.path.join(files, "small.txt"))
    text = open(os.path.join(INPUTS, "generated.rs")).read()
    open(os.path.join(files, "text.txt"), "w").write(text)
    places = "".join("%s_temp_path %s/%s;" % (kind, scratch, kind) for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = os.path.join(scratch, "nginx.conf")
    open(config, "w").write(
        "daemon off; worker_processes 1; pid %s/pid; error_log stderr error; %s events { worker_connections 256; }\n"
        "http { access_log off; default_type text/plain; %s keepalive_requests 1000000;\n"
        "server { listen 127.0.0.1:%d; root %s; location /text.txt { gzip on; gzip_min_length 1; gzip_comp_level 1; } } }\n"
        % (scratch, "user root;" if os.getuid() == 0 else "", places, port, files)
    )
    start(["nginx", "-c", config, "-p", scratch, "-e", "stderr"])
    address = "http://127.0.0.1:%d/" % port

    def load():
        answers = []
        for page, count, more in (("small.txt", 14_000, []), ("text.txt", 2_500, ["-H", "Accept-Encoding: gzip"])):
            command = ["ab", "-q", "-k", "-n", str(count), "-c", "16", *more, address + page]
            said = subprocess.run(command, env={"PATH": PATH}, check=True, capture_output=True, text=True).stdout
            wanted = ("Complete requests", "Failed requests", "Non-2xx", "HTML transferred")
            answers += [line for line in said.splitlines() if line.startswith(wanted)]
        return hashlib.sha256("\n".join(answers).encode()).hexdigest()

    return load


def postgres(scratch, port, start):
    """Transactions and aggregates by four clients of pgbench, on a copy of a database without syncs."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    data = os.path.join(scratch, "data")
    shutil.copytree(os.path.join(INPUTS, "postgres"), data)
    # PostgreSQL refuses to run as root.
    user = []
    if os.getuid() == 0:
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        subprocess.run(["chown", "-R", "65534:65534", data], check=True)
    os.chmod(data, 0o700)
    os.chmod(scratch, 0o755)
    script = os.path.join(scratch, "script.sql")
    open(script, "w").write(
        "\\set aid random(1, 100000)\n\\set low random(1, 95000)\n"
        "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n"
        "SELECT count(*), max(x) FROM (SELECT aid % 97 AS k, string_agg(filler, '') AS x FROM pgbench_accounts "
        "WHERE aid BETWEEN :low AND :low + 1500 GROUP BY 1) AS t;\n"
        "SELECT length(jsonb_agg(jsonb_build_object('a', aid, 'b', abalance, 'f', filler))::text) FROM pgbench_accounts "
        "WHERE aid BETWEEN :low AND :low + 800;\n"
    )
    settings = "listen_addresses=127.0.0.1 unix_socket_directories= fsync=off autovacuum=off jit=off shared_buffers=32MB"
    command = [os.path.join(programs, "postgres"), "-D", data, "-p", str(port)]
    command += [word for setting in settings.split() for word in ("-c", setting)]
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    ask = [os.path.join(programs, "psql"), *where, "-Atqc"]
    start(user + command, ready=lambda: subprocess.run([*ask, "select 1", "postgres"], capture_output=True).returncode == 0)

    def load():
        bench = [os.path.join(programs, "pgbench"), *where, "-n", "-c", "4", "-j", "1", "-t", "70", "--random-seed=7", "-f", script]
        subprocess.run([*bench, "postgres"], check=True, capture_output=True)
        return subprocess.run(
            [*ask, "select sum(abalance), count(*) from pgbench_accounts", "postgres"], check=True, capture_output=True, text=True
        ).stdout

    return load


ROWS = {"redis": redis, "memcached": memcached, "nginx": nginx, "postgres": postgres}


def check_maps(pid, library):
    """The process that serves, or one of those that it started, has the library."""
    for one in tree(pid):
        try:
            if library in open("/proc/%d/maps" % one).read():
                return
        except OSError:
            pass
    raise SystemExit("the server does not map %s; is it readable for the server's user?" % library)


def main(name):
    scratch = tempfile.mkdtemp(prefix="programs-", dir="/var/tmp")
    library = os.environ.get("ALLOCATOR", "")
    server, port = None, free_port()
    try:
        os.chmod(scratch, 0o755)
        if library:
            # A server that runs as another user may not enter the folder of the library.
            library = shutil.copy(library, scratch)

        def start(command, ready=None):
            nonlocal server
            env = {"PATH": PATH, "LC_ALL": "C", **({"LD_PRELOAD": library} if library else {})}
            server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch)

            def connects():
                with socket.socket() as one:
                    return one.connect_ex(("127.0.0.1", port)) == 0

            for _ in range(2_000):
                if server.poll() is not None:
                    raise SystemExit("the server ended: %s, exit code %s" % (command[0], server.returncode))
                if (ready or connects)():
                    return
                time.sleep(0.005)
            raise SystemExit("the server was not ready within 10 s")

        load = ROWS[name](scratch, port, start)
        if library:
            check_maps(server.pid, library)
        memory = Memory(server.pid)
        memory.start()
        before = time.monotonic_ns()
        answers = load()
        took = time.monotonic_ns() - before
        peak, mean = memory.stop()
        digest = hashlib.sha256(answers.encode()).hexdigest()
        print(json.dumps({"format": 2, "checksum": digest, "values": {"load_ns": took}, "rss_peak_bytes": peak, "rss_mean_bytes": mean}))
    finally:
        if server and server.poll() is None:
            server.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
        shutil.rmtree(scratch, ignore_errors=True)


main(sys.argv[1])
