# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who all move their views: metadata at 20 a second each, told to all others."""

from ..figure import median, ratio, spread
from ..server import OURS, RAW

USERS = (12, 25, 50)
RATE = 20


def _case(bench, users):
    def measure(subject):
        with subject.start() as server, \
             bench.load(server, receivers=users - 1, views=True, rate=RATE, seconds=0.3 if bench.smoke else 3) as load:
            load.phase()
            early = load.phase()
            late = load.phase()
        late["early_p50_us"] = early["p50_us"]
        late["expected"] = late["views_told"] * (users - 1)
        late["arrived"] = late["views"] / max(late["expected"], 1)
        late["cpu_us"] = late["cpu"] * 1e6 / max(late["views"], 1)
        return late
    return measure


def run(bench):
    deliveries, cpu = [], []
    for users in USERS:
        rounds = bench.interleave(f"{users} users move their views", bench.all, _case(bench, users))
        deliveries.append(median(rounds[OURS], "views_per_second"))
        cpu.append(median(rounds[OURS], "cpu") / median(rounds[OURS], "seconds"))
        if users != USERS[-1]:
            continue
        for name, results in rounds.items():
            if name == RAW:
                continue
            ours, suffix = name == OURS, "" if name == OURS else f", {name}"
            bench.figure(f"{users} users: of what was told, arrived{suffix}", 100 * median(results, "arrived"), "%",
                         at_least=100 if ours else None,
                         note=f"{median(results, 'views_per_second'):.0f} a second, CPU {median(results, 'cpu_us'):.2f} us "
                              f"each, the raw forwarder {median(rounds[RAW], 'cpu_us'):.2f}; spread {spread(results, 'cpu_us'):.0%}")
            bench.figure(f"{users} users: delay, of that a while before{suffix}",
                         ratio(median(results, "p50_us"), median(results, "early_p50_us")), "times",
                         at_most=1.25 if ours else None,
                         note=f"p50 {median(results, 'p50_us'):.0f} us, p99 {median(results, 'p99_us'):.0f} us; raw "
                              f"{median(rounds[RAW], 'p50_us'):.0f} and {median(rounds[RAW], 'p99_us'):.0f}")
    bench.growth("CPU with deliveries", deliveries, cpu)
