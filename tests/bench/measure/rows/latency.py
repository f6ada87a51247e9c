# SPDX-License-Identifier: GPL-3.0-or-later
"""From push to receipt at a fixed rate, beside the raw forwarder."""

from ..figure import median, ratio, spread
from ..server import OURS, RAW

CASES = (("1 KiB", 1024, 200), ("64 KiB", 65536, 50), ("1 MiB", 1 << 20, 10))
PERCENTILES = (("p50", "p50_us", 1.25), ("p99", "p99_us", 1.5), ("p99.9", "p999_us", 2.0))


def run(bench):
    for label, size, rate in CASES[:1] if bench.smoke else CASES:
        for receivers in (4,) if bench.smoke else (4, 32):
            def measure(subject, size=size, rate=rate, receivers=receivers):
                with subject.start() as server, \
                     bench.load(server, receivers=receivers, size=size, rate=rate,
                                seconds=1 if bench.smoke else 5) as load:
                    return load.phase()
            rounds = bench.interleave(f"latency {label} to {receivers} at {rate}/s", bench.all, measure)
            for name, results in rounds.items():
                if name == RAW:
                    continue
                for percentile, key, target in PERCENTILES:
                    value, limit = median(results, key), median(rounds[RAW], key)
                    bench.figure(f"{label} to {receivers} at {rate}/s, {percentile}" +
                                 ("" if name == OURS else f", {name}"), ratio(value, limit), "of raw",
                                 at_most=target if name == OURS else None,
                                 note=f"{value:.0f} us beside {limit:.0f} us, spread {spread(results, key):.0%} and "
                                      f"{spread(rounds[RAW], key):.0%}")
