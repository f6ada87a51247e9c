# SPDX-License-Identifier: GPL-3.0-or-later
"""As fast as the sender can: what arrives may be late, never lost."""

from ..figure import median
from ..server import OURS

CASES = (("1 KiB", 1024, 4), ("64 KiB", 65536, 4), ("1 MiB", 1 << 20, 4), ("1 KiB", 1024, 32))


def run(bench):
    for label, size, receivers in CASES[:1] if bench.smoke else CASES:
        def measure(subject, size=size, receivers=receivers):
            with subject.start() as server, \
                 bench.load(server, receivers=receivers, size=size, flat_out=True,
                            seconds=0.3 if bench.smoke else 1) as load:
                return load.phase()
        rounds = bench.interleave(f"flat out {label} to {receivers}", bench.all, measure)
        for name, results in rounds.items():
            bench.figure(f"{label} to {receivers}, {name}: lost", max(r["behind"] for r in results), "versions",
                         at_most=0 if name == OURS else None,
                         note=f"of {64 * receivers} newest; {median(results, 'sent'):.0f} sent, all there after "
                              f"{median(results, 'settled_after'):.2f} s, {median(results, 'missing'):.0f} deliveries "
                              "replaced by newer ones or lost")
