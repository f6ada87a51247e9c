# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's share of the time that an init and a join take.

The clients are in Python, as stock clients are: those of the end-to-end tests, or, with BENCH_STOCK naming an
interpreter in which `replication` 0.9.10 is installed, that library. The add-on handles at most one message a
millisecond, and so does the library here. The tests' client handles what has come, up to 64 messages a millisecond,
and sends an init several times as fast: the server has less time for each node.
"""

import json
import os
import subprocess
import sys

from ..figure import median, spread
from ..server import ADMIN, OURS, Failed

NODES = (2500, 5000, 10000)
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "python_client.py")


class _Client:
    """A user in a process of its own, which waits for a line before it acts and tells when it is done."""

    def __init__(self, server, action, nodes):
        stock = os.environ.get("BENCH_STOCK")
        kind = "stock" if stock else "own"
        words = [stock or sys.executable, CLIENT, kind, action, str(server.port), ADMIN, str(nodes)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")

    def _expect(self, word):
        line = self.process.stdout.readline()
        if word not in line:
            raise Failed(f"the Python client failed: {line or 'it has ended'}")
        return line

    def act(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self._expect("seconds"))["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def _timed(server, client):
    before = server.usage()
    seconds = client.act()
    return seconds, (server.usage() - before).cpu


def _case(nodes):
    def measure(subject):
        with subject.start() as server:
            host = _Client(server, "init", nodes)
            try:
                init, init_cpu = _timed(server, host)
                joiner = _Client(server, "join", nodes)
                try:
                    join, join_cpu = _timed(server, joiner)
                finally:
                    joiner.close()
            finally:
                host.close()
        return {"init": init, "init_cpu": init_cpu, "init_share": init_cpu / init,
                "join": join, "join_cpu": join_cpu, "join_share": join_cpu / join}
    return measure


def run(bench):
    counts = [n // 10 for n in NODES] if bench.smoke else NODES
    cpu = {"init": [], "join": []}
    client = "replication 0.9.10" if os.environ.get("BENCH_STOCK") else "the tests' client"
    for n in counts:
        rounds = bench.interleave(f"init and join of {n} nodes", [bench.ours], _case(n))[OURS]
        for what, costs in cpu.items():
            costs.append(median(rounds, f"{what}_cpu"))
            if n == counts[-1]:
                bench.figure(f"{what} of {n} nodes: the server's share", 100 * median(rounds, f"{what}_share"), "%",
                             at_most=20, note=f"CPU {costs[-1] * 1e3:.0f} ms in {median(rounds, what):.2f} s of {client}; "
                                              f"spread {spread(rounds, what + '_share'):.0%}")
    for what, costs in cpu.items():
        bench.growth(f"CPU of the {what} with nodes", counts, costs)
