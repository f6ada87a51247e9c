# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of the process beside payloads, what large payloads add to it, and whether it stays flat under changes."""

import time

from ..figure import median
from ..server import OURS

NODES = (10000, 20000, 40000)
PAYLOAD = 300  # large enough to be looked for when it comes again: the table for that counts, too
CHURN_SECONDS = 60


def _rest(bench, server):
    """Memory is at rest once everything is on the disk and has been saved."""
    wait = 0.3 if bench.smoke else 1.5
    time.sleep(wait)
    server.save()
    time.sleep(wait)
    return server.anonymous_bytes()


def _nodes(bench, nodes, size):
    def measure(subject):
        with subject.start() as server:
            empty = server.anonymous_bytes()
            with bench.load(server, receivers=1, nodes=nodes, node_size=size, pushed=nodes, size=size, count=nodes,
                            seconds=60) as load:
                full = _rest(bench, server)
                load.phase()
                changed = _rest(bench, server)
            server.restart()
            return {"empty": empty, "anonymous": full, "changed": changed, "restarted": _rest(bench, server)}
    return measure


def _churn(bench):
    seconds = 2 if bench.smoke else CHURN_SECONDS

    def measure(subject):
        with subject.start() as server, \
             bench.load(server, receivers=1, size=4096, rate=2000, seconds=seconds / 6) as load:
            for _ in range(2):
                load.phase()
            before = _rest(bench, server)
            n = sum(load.phase()["sent"] for _ in range(4))
            return {"updates": n, "grown": _rest(bench, server) - before}
    return measure


def run(bench):
    counts = [n // 10 for n in NODES] if bench.smoke else NODES
    held = {"anonymous": [], "changed": [], "restarted": []}
    for n in counts:
        rounds = bench.interleave(f"memory of {n} nodes", [bench.ours], _nodes(bench, n, PAYLOAD))[OURS]
        for key, sizes in held.items():
            sizes.append(median(rounds, key))
    for key, when in (("anonymous", "after their init"), ("changed", "after a change of each"),
                      ("restarted", "after a restart")):
        per_node = (held[key][-1] - held[key][0]) / (counts[-1] - counts[0])
        bench.figure(f"each node, {when}", per_node, "bytes", at_most=200,
                     note=f"payloads of {PAYLOAD} bytes; {held[key][-1] / 1e6:.1f} MB with {counts[-1]} nodes")
    bench.growth("memory with nodes", counts, held["restarted"])
    nodes, size = (100, 1 << 20) if bench.smoke else (1000, 1 << 20)
    rounds = bench.interleave(f"memory of {nodes} MiB", [bench.ours], _nodes(bench, nodes, size))[OURS]
    for key, when in (("anonymous", "after their init"), ("changed", "after a change of each"),
                      ("restarted", "after a restart")):
        extra = median(rounds, key) - median(rounds, "empty")
        bench.figure(f"copies of {nodes} payloads of 1 MiB beside the log, {when}", extra / (nodes * size), "copies",
                     at_most=0.05, note=f"{extra / 1e6:.1f} MB above an empty server")
    rounds = bench.interleave("memory under changes", [bench.ours], _churn(bench))[OURS]
    grown, updates = median(rounds, "grown"), median(rounds, "updates")
    bench.figure(f"growth over {updates:.0f} changes of 64 nodes", grown / updates, "bytes each", at_most=1,
                 note=f"{grown / 1024:.0f} KiB in all")
