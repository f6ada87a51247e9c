# SPDX-License-Identifier: GPL-3.0-or-later
"""One sender to several receivers in a closed loop, the journal on, beside the raw forwarder.

And beside one that writes what it hears, with its SHA-256, before it passes it on: nearer to the raw one than that nobody
can come who loses nothing.
"""

from ..figure import median, ratio, spread
from ..server import JOURNALLING, OURS, RAW

SIZES = {"1 KiB": (1024, 0.75), "64 KiB": (65536, 0.85), "1 MiB": (1 << 20, 0.85)}
RECEIVERS = (1, 4, 16, 32)


def _case(bench, size, receivers):
    def measure(subject):
        with subject.start() as server, \
             bench.load(server, receivers=receivers, size=size, seconds=0.3 if bench.smoke else 1.5) as load:
            result = load.phase()
        result["cpu_us_per_delivery"] = result["cpu"] * 1e6 / max(result["received"], 1)
        return result
    return measure


def _one(bench, label, receivers):
    size, target = SIZES[label]
    rounds = bench.interleave(f"fan-out {label} to {receivers}", bench.with_limits, _case(bench, size, receivers))
    raw = rounds[RAW]
    for name, results in rounds.items():
        if name in (RAW, JOURNALLING):
            continue
        rate, limit = median(results, "deliveries_per_second"), median(raw, "deliveries_per_second")
        cpu, least = median(results, "cpu_us_per_delivery"), median(raw, "cpu_us_per_delivery")
        bench.figure(f"to {receivers}" + ("" if name == OURS else f", {name}"), ratio(rate, limit), "of raw",
                     at_least=target if name == OURS else None,
                     note=f"{rate:.0f}/s of {limit:.0f}/s, spread {spread(results, 'deliveries_per_second'):.0%} and "
                          f"{spread(raw, 'deliveries_per_second'):.0%}; CPU {cpu:.2f} us each of {least:.2f}")
    rate, limit = (median(rounds[name], "deliveries_per_second") for name in (OURS, JOURNALLING))
    bench.figure(f"to {receivers}, beside a forwarder with a journal", ratio(rate, limit), "of it",
                 note=f"which makes {ratio(limit, median(raw, 'deliveries_per_second')):.2f} of raw, spread "
                      f"{spread(rounds[JOURNALLING], 'deliveries_per_second'):.0%}")
    return median(rounds[OURS], "cpu_us_per_delivery")


def run(label, bench):
    receivers = RECEIVERS[:-1] if bench.smoke else RECEIVERS
    cpu = [_one(bench, label, n) for n in receivers]
    bench.growth("CPU of a message with its receivers", receivers[-3:], [c * n for c, n in zip(cpu, receivers)][-3:])
