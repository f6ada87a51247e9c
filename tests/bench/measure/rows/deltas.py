# SPDX-License-Identifier: GPL-3.0-or-later
"""Deltas to one node of many float triples, each applied before it is relayed; then a join, which needs it whole."""

import pickle
import time

from ..figure import median, ratio, spread
from ..server import OURS, RAW

TRIPLES = (6000, 12000, 24000)


def _join(bench, server, name):
    before = server.usage()
    with bench.load(server, receivers=0, join=True, idle=True, prefix=name, seconds=0.01) as load:
        seconds = load.phase()["first_entry_seconds"]
    return seconds, (server.usage() - before).cpu


def _encoding_seconds(triples):
    """What one encoding costs, in Python's C code, which the original server pays."""
    node = {"edges": bytes(256 << 10), "vertices": [[i * 0.37 + k * 1.13 for k in range(3)] for i in range(triples)]}
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        pickle.dumps(node, 4)
        best = min(best, time.process_time() - start)
    return best


def _case(bench, triples):
    def measure(subject):
        with subject.start() as server:
            with bench.load(server, receivers=4, nodes=1, triples=triples, commits=True,
                            seconds=0.5 if bench.smoke else 2) as load:
                result = load.phase()
                result["cpu_us"] = result["cpu"] * 1e6 / max(result["sent"], 1)
                if not server.raw:
                    server.settle()
                    result["join"], result["join_cpu"] = _join(bench, server, "late")
                    result["again"], result["again_cpu"] = _join(bench, server, "again")
            return result
    return measure


def run(bench):
    cpu = []
    for triples in TRIPLES:
        rounds = bench.interleave(f"deltas to {triples} triples", bench.all, _case(bench, triples))
        cpu.append(median(rounds[OURS], "cpu_us"))
        if triples != TRIPLES[-1]:
            continue
        limit = median(rounds[RAW], "deliveries_per_second") / 4
        for name, results in rounds.items():
            if name == RAW:
                continue
            rate = median(results, "deliveries_per_second") / 4
            bench.figure("applied and relayed to 4" + ("" if name == OURS else f", {name}"), rate, "a second",
                         at_least=5000 if name == OURS else None,
                         note=f"{ratio(rate, limit):.2f} of the raw forwarder's {limit:.0f}/s, which applies nothing; spread "
                              f"{spread(results, 'deliveries_per_second'):.0%}; CPU {median(results, 'cpu_us'):.1f} us each")
            extra = max(median(results, "join_cpu") - median(results, "again_cpu"), 0)
            encoding = _encoding_seconds(triples)
            bench.figure("CPU of the join after, beyond one without changes" + ("" if name == OURS else f", {name}"),
                         extra / encoding, "encodings", at_most=1 if name == OURS else None,
                         note=f"{extra * 1e3:.1f} ms; Python's pickle encodes the node in {encoding * 1e3:.1f} ms; the join "
                              f"took {median(results, 'join') * 1e3:.0f} ms, the next {median(results, 'again') * 1e3:.0f} ms")
    bench.growth("CPU of a delta with its node", TRIPLES, cpu)
