# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of a large session after a change of one node in a hundred, beside the first snapshot of it."""

import time

from ..figure import median, spread
from ..server import OURS

NODES, SIZE = 20000, 52000
SMALL = (800, 5200)


def _save(server):
    server.settle()
    before, start = server.usage(), time.monotonic()
    server.save()
    took = time.monotonic() - start
    time.sleep(0.1)
    used = server.usage() - before
    return used.cpu, used.written, took


def _case(nodes, size):
    def measure(bench, subject):
        with subject.start() as server, \
             bench.load(server, receivers=1, nodes=nodes, node_size=size, pushed=nodes // 100, size=size,
                        count=nodes // 100, seconds=60) as load:
            first_cpu, first_written, first_took = _save(server)
            load.phase()
            cpu, written, took = _save(server)
            return {"first_cpu": first_cpu, "first_written": first_written, "first_took": first_took, "cpu": cpu,
                    "written": written, "took": took, "cpu_share": cpu / first_cpu,
                    "written_share": written / first_written}
    return measure


def run(bench):
    nodes, size = SMALL if bench.smoke else (NODES, SIZE)
    counts = [nodes // 4, nodes // 2, nodes]
    first, lean = [], []
    for n in counts:
        case = _case(n, size)
        rounds = bench.interleave(f"snapshot of {n} nodes", [bench.ours], lambda s, case=case: case(bench, s))[OURS]
        first.append(median(rounds, "first_cpu"))
        lean.append(median(rounds, "cpu"))
        if n != nodes:
            continue
        what = f"{n} nodes, {n * size / 1e9:.2g} GB"
        bench.figure(f"{what}: CPU, of the first", 100 * median(rounds, "cpu_share"), "%", at_most=3,
                     note=f"{median(rounds, 'cpu') * 1e3:.1f} ms beside {median(rounds, 'first_cpu') * 1e3:.1f} ms, "
                          f"spread {spread(rounds, 'cpu_share'):.0%}")
        bench.figure(f"{what}: bytes, of the first", 100 * median(rounds, "written_share"), "%", at_most=3,
                     note=f"{median(rounds, 'written'):.0f} beside {median(rounds, 'first_written'):.0f}")
    bench.growth("CPU of a first snapshot with its nodes", counts, first)
    bench.growth("CPU of a snapshot with what has changed", counts, lean)
