# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes written to disk for each byte of payload received."""

from ..figure import median
from ..server import OURS

CASES = (("1 KiB", 1024, 1.3), ("64 KiB", 65536, 1.02), ("1 MiB", 1 << 20, 1.02))


def run(bench):
    written = []
    for label, size, target in CASES:
        def measure(subject, size=size):
            with subject.start() as server, \
                 bench.load(server, receivers=1, size=size, seconds=0.3 if bench.smoke else 2) as load:
                result = load.phase()
            result["per_byte"] = result["written_in_all"] / (result["sent"] * size)
            return result
        rounds = bench.interleave(f"journal {label}", [bench.ours], measure)[OURS]
        written.append(median(rounds, "per_byte") * size)
        bench.figure(label, median(rounds, "per_byte"), "bytes/byte", at_most=target,
                     note=f"{median(rounds, 'sent'):.0f} payloads")
    bench.growth("bytes written with the payload", [size for _, size, _ in CASES], written)
