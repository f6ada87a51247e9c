# SPDX-License-Identifier: GPL-3.0-or-later
"""A killed server starts again: when its clients hear a PING, when a join is answered."""

import hashlib
import os
import time

from ..figure import median, spread
from ..server import OURS

SIZE = 1 << 20
NODES = 1000


def _hash_log(server):
    """Reads and hashes the bytes once, as an upper bound of what loading has to do."""
    folder = os.path.join(server.data, "log")
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    start = time.perf_counter()
    for name in sorted(os.listdir(folder)):
        digest = hashlib.sha256()
        with open(os.path.join(folder, name), "rb", buffering=0) as stream:
            while n := stream.readinto(buffer):
                digest.update(view[:n])
    return time.perf_counter() - start


def _case(bench, nodes):
    def measure(subject):
        with subject.start() as server, \
             bench.load(server, receivers=0, nodes=nodes, node_size=SIZE, idle=True, reconnect_msec=2,
                        seconds=2 if bench.smoke else 8) as load:
            server.save()
            hashing = _hash_log(server)
            server.kill()
            load.begin()
            start = time.monotonic_ns()
            server.spawn()
            with bench.load(server, receivers=0, join=True, idle=True, prefix="new", reconnect_msec=2,
                            seconds=0.01) as joiner:
                answered = joiner.phase()["first_answered_at"]
            load.wait_end()
            pinged = load.result()["pinged_at"]
            return {"pinged": (pinged - start) / 1e9, "answered": (answered - start) / 1e9, "hashing": hashing,
                    "answered_of_hashing": (answered - start) / 1e9 / hashing}
    return measure


def run(bench):
    most = 40 if bench.smoke else NODES
    counts, pinged, answered = [most // 4, most // 2, most], [], []
    for n in counts:
        rounds = bench.interleave(f"start-up with {n} MiB", [bench.ours], _case(bench, n))[OURS]
        pinged.append(median(rounds, "pinged"))
        answered.append(median(rounds, "answered"))
        if n != most:
            continue
        bench.figure(f"{n} MiB: until a client is PINGed", 1e3 * pinged[-1], "ms", at_most=100,
                     note=f"spread {spread(rounds, 'pinged'):.0%}")
        bench.figure(f"{n} MiB: until a join is answered", median(rounds, "answered_of_hashing"), "of hashing",
                     at_most=1.2, note=f"{answered[-1]:.2f} s; Python's hashlib reads and hashes it in "
                                       f"{median(rounds, 'hashing'):.2f} s; spread "
                                       f"{spread(rounds, 'answered_of_hashing'):.0%}")
    bench.growth("time until a PING with the session", counts, pinged)
    bench.growth("time until an answer with the session", counts, answered)
