# SPDX-License-Identifier: GPL-3.0-or-later
"""One sender to several receivers in a closed loop, the journal on, beside the raw forwarder."""

from ..figure import median, ratio, spread
from ..server import OURS, RAW

SIZES = {"1 KiB": (1024, 0.75), "64 KiB": (65536, 0.85), "1 MiB": (1 << 20, 0.85)}
RECEIVERS = (1, 4, 16, 32)


def _case(bench, size, receivers):
    def measure(subject):
        with subject.start() as server, \
             bench.load(server, receivers=receivers, size=size, seconds=0.5 if bench.smoke else 2) as load:
            result = load.phase()
        result["cpu_us_per_delivery"] = result["cpu"] * 1e6 / max(result["received"], 1)
        return result
    return measure


def _one(bench, label, receivers):
    size, target = SIZES[label]
    rounds = bench.interleave(f"fan-out {label} to {receivers}", bench.all, _case(bench, size, receivers))
    raw = rounds[RAW]
    for name, results in rounds.items():
        if name == RAW:
            continue
        rate, limit = median(results, "deliveries_per_second"), median(raw, "deliveries_per_second")
        cpu, least = median(results, "cpu_us_per_delivery"), median(raw, "cpu_us_per_delivery")
        bench.figure(f"{label} to {receivers}" + ("" if name == OURS else f", {name}"), ratio(rate, limit), "of raw",
                     at_least=target if name == OURS else None,
                     note=f"{rate:.0f}/s of {limit:.0f}/s, spread {spread(results, 'deliveries_per_second'):.0%} and "
                          f"{spread(raw, 'deliveries_per_second'):.0%}; CPU {cpu:.2f} us each of {least:.2f}")
    return median(rounds[OURS], "cpu_us_per_delivery")


def run(bench):
    cpu = {}
    for label in SIZES:
        for receivers in RECEIVERS:
            if bench.smoke and (label == "1 MiB" or receivers not in (1, 4, 16)):
                continue
            cpu[label, receivers] = _one(bench, label, receivers)
    receivers = [n for n in RECEIVERS if ("1 KiB", n) in cpu][-3:]
    bench.growth("CPU of a message with its receivers", receivers, [cpu["1 KiB", n] * n for n in receivers])
    if not bench.smoke:
        bench.growth("CPU of a delivery with its size", [s for s, _ in SIZES.values()], [cpu[k, 4] for k in SIZES])
