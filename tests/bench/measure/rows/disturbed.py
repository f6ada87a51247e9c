# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency in a session of a gigabyte: a snapshot is taken, all is verified, somebody joins, somebody stalls.

Beside it stands a server that does nothing else, on a machine where something else uses as much of a core: with fewer
cores than there are busy programs, part of any delay is the machine's.
"""

import subprocess
import sys
import time

from ..figure import median, ratio
from ..server import OURS, RAW

NODES, SIZE = 1000, 1 << 20
RATE = 200
# Hashes from memory that is not in the caches, as a scrub does.
BUSY = "import hashlib\nb = bytes(1 << 28)\nwhile True: hashlib.sha256(b)"


class _Quiet:
    def __init__(self, bench, server, seconds):
        self.bench, self.server, self.seconds = bench, server, seconds

    def begin(self):
        pass

    def end(self):
        pass


class _Process(_Quiet):
    """Something that runs beside for a while, again and again for as long as the phase lasts."""

    def start(self):
        raise NotImplementedError

    def begin(self):
        self.process = self.start()

    def end(self):
        self.process.kill()
        self.process.wait()


class _Save(_Process):
    def start(self):
        return self.bench.ctl(self.server, "save")


class _Scrub(_Process):
    def start(self):
        return self.bench.ctl(self.server, "scrub")


class _Busy(_Process):
    def start(self):
        return subprocess.Popen([sys.executable, "-c", BUSY])


class _Join(_Quiet):
    def begin(self):
        self.load = self.bench.load(self.server, wait=False, receivers=0, join=True, idle=True, prefix="joiner",
                                    seconds=0.01)

    def end(self):
        self.load.wait_ready()
        self.load.close()


class _Stall(_Quiet):
    def begin(self):
        self.load = self.bench.load(self.server, receivers=0, join=True, idle=True, prefix="staller", seconds=0.01)
        time.sleep(1)
        self.load.stop()

    def end(self):
        self.load.close()


PHASES = (("quiet", _Quiet), ("a snapshot is taken", _Save), ("a scrub runs", _Scrub), ("a client joins", _Join),
          ("a client has stalled", _Stall))


def _run(bench, load, disturbance):
    disturbance.begin()
    try:
        return load.phase()
    finally:
        disturbance.end()


def run(bench):
    seconds = 1 if bench.smoke else 4
    nodes = 50 if bench.smoke else NODES

    def measure(subject):
        session = {} if subject.raw else {"nodes": nodes, "node_size": SIZE}
        with subject.start() as server, \
             bench.load(server, receivers=2, size=1024, rate=RATE, seconds=seconds, **session) as load:
            if subject.raw:
                phases = {"quiet": load.phase(), "another program": _run(bench, load, _Busy(bench, server, seconds))}
            else:
                time.sleep(0 if bench.smoke else 2)
                phases = {name: _run(bench, load, kind(bench, server, seconds)) for name, kind in PHASES}
        return {f"{name} {key}": r[key] for name, r in phases.items() for key in ("p50_us", "p99_us", "max_us")}

    rounds = bench.interleave(f"{nodes} MiB, 1 KiB to 2 at {RATE}/s", [bench.raw, bench.ours], measure)
    ours, raw = rounds[OURS], rounds[RAW]
    quiet = median(ours, "quiet p99_us")
    machine = (f"the raw forwarder beside another program: {median(raw, 'another program p99_us'):.0f} us beside "
               f"{median(raw, 'quiet p99_us'):.0f}, longest {median(raw, 'another program max_us') / 1e3:.1f} ms")
    for name, _ in PHASES:
        p99 = median(ours, f"{name} p99_us")
        if name != "quiet":
            bench.figure(f"{name}: p99", ratio(p99, quiet), "of quiet", at_most=2,
                         note=f"{p99:.0f} us beside {quiet:.0f}")
        bench.figure(f"{name}: longest", median(ours, f"{name} max_us") / 1e3, "ms", at_most=20,
                     note=machine if name == "quiet" else "")
