# SPDX-License-Identifier: GPL-3.0-or-later
"""From push to receipt at a fixed rate, beside the raw forwarder, and one that writes what it hears first."""

from ..figure import median, ratio, spread
from ..server import JOURNALLING, OURS, RAW

CASES = (("1 KiB", 1024, 200), ("64 KiB", 65536, 50), ("1 MiB", 1 << 20, 10))
PERCENTILES = (("p50", "p50_us", 1.25), ("p99", "p99_us", 1.5), ("p99.9", "p999_us", 2.0))


def _beside_raw(bench, case, name, results, raw):
    for percentile, key, target in PERCENTILES:
        value, limit = median(results, key), median(raw, key)
        bench.figure(f"{case}, {percentile}" + ("" if name == OURS else f", {name}"), ratio(value, limit), "of raw",
                     at_most=target if name == OURS else None,
                     note=f"{value:.0f} us beside {limit:.0f} us, spread {spread(results, key):.0%} and "
                          f"{spread(raw, key):.0%}")


def run(bench):
    for label, size, rate in CASES[:1] if bench.smoke else CASES:
        for receivers in (4,) if bench.smoke else (4, 32):
            def measure(subject, size=size, rate=rate, receivers=receivers):
                with subject.start() as server, \
                     bench.load(server, receivers=receivers, size=size, rate=rate,
                                seconds=1 if bench.smoke else 5) as load:
                    return load.phase()
            rounds = bench.interleave(f"latency {label} to {receivers} at {rate}/s", bench.with_limits, measure)
            for name, results in rounds.items():
                if name not in (RAW, JOURNALLING):
                    _beside_raw(bench, f"{label} to {receivers} at {rate}/s", name, results, rounds[RAW])
            value, limit = median(rounds[OURS], "p50_us"), median(rounds[JOURNALLING], "p50_us")
            bench.figure(f"{label} to {receivers} at {rate}/s, p50 beside a forwarder with a journal",
                         ratio(value, limit), "of it", note=f"which takes {limit:.0f} us")
