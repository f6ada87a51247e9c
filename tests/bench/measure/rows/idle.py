# SPDX-License-Identifier: GPL-3.0-or-later
"""What users cost who do nothing."""

import time

from ..figure import median, spread
from ..server import OURS

LIMITS = ((0, 0.1), (10, 0.3), (50, 1.0))
METADATA = 5000


def _case(bench, users):
    seconds = 1 if bench.smoke else 8

    def measure(subject):
        with subject.start() as server:
            if users == 0:
                time.sleep(1)
                before = server.usage()
                time.sleep(seconds)
                core = (server.usage() - before).cpu / seconds
                return {"core": core, "command_bytes": 0, "pings": 0, "seconds": seconds}
            with bench.load(server, receivers=users - 1, idle=True, metadata=METADATA, seconds=seconds) as load:
                load.phase()  # tables that the logins and metadata have set off, first latencies
                result = load.phase()
                result["core"] = result["cpu"] / result["seconds"]
                return result
    return measure


def run(bench):
    users, cores = [], []
    for n, limit in LIMITS:
        rounds = bench.interleave(f"idle with {n} users", bench.servers, _case(bench, n))
        for name, results in rounds.items():
            suffix = "" if name == OURS else f", {name}"
            ours = name == OURS
            bench.figure(f"{n} users{suffix}", 100 * median(results, "core"), "% of a core",
                         at_most=limit if ours else None,
                         note=f"spread {spread(results, 'core'):.0%}; {median(results, 'pings'):.0f} PINGs in "
                              f"{median(results, 'seconds'):.0f} s")
            if n > 0:
                bench.figure(f"{n} users{suffix}: sent beside PINGs",
                             median(results, "command_bytes") / median(results, "seconds"), "bytes/s",
                             at_most=0 if ours else None, note=f"each has {METADATA} bytes of metadata")
        if n > 0:
            users.append(n)
            cores.append(median(rounds[OURS], "core"))
    rounds = bench.interleave("idle with 25 users", [bench.ours], _case(bench, 25))[OURS]
    bench.growth("CPU with idle users", [users[0], 25, users[1]], [cores[0], median(rounds, "core"), cores[1]])
