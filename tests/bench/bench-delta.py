#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same as bench-delta.c by deepdiff: what the original session server does for each delta."""
import pickle
import time

try:
    import deepdiff
    from deepdiff import Delta
    from deepdiff.serialization import pickle_dump
except ImportError:
    raise SystemExit("python3-deepdiff is not installed: nothing to compare with")

TRIPLES = 24000


def best(function, repetitions=5):
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times) * 1e3


def main():
    node = {"edges": bytes(256 << 10), "vertices": [[i * 0.37 + k * 1.13 for k in range(3)] for i in range(TRIPLES)]}
    data = pickle.dumps(node, 4)
    delta = pickle_dump({"values_changed": {"root['vertices'][12345][1]": {"new_value": 0.5}}})
    print("deepdiff %s, node of %d bytes, %d float triples" % (deepdiff.__version__, len(data), TRIPLES))
    print("%-48s %10.3f ms" % ("first delta: decode and apply", best(lambda: pickle.loads(data) + Delta(delta))))
    print("%-48s %10.3f ms" % ("each further delta", best(lambda: node + Delta(delta))))
    print("%-48s %10.3f ms" % ("encode the node", best(lambda: pickle.dumps(node, 4))))


main()
