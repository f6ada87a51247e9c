# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine takes for the work that a journal cannot do without; the raw forwarder does none of it.

With as many cores as there are busy threads it is done beside the forwarding. With fewer, it comes on top, and with one
receiver there is little else to share it with.
"""

import hashlib
import os
import tempfile
import time

from ..figure import median
from ..server import RAW

MIB = 1 << 20
TIMES = 256


def _each(work):
    """CPU microseconds of one of many."""
    start = time.process_time()
    for i in range(TIMES):
        work(i)
    return (time.process_time() - start) / TIMES * 1e6


def _write(payload):
    with tempfile.TemporaryFile() as stream:
        return _each(lambda i: os.pwrite(stream.fileno(), payload, i * MIB))


def _forwarding(bench):
    def measure(subject):
        with subject.start() as server, bench.load(server, receivers=1, size=MIB, seconds=1) as load:
            result = load.phase()
        return {"cpu_us": result["cpu"] * 1e6 / max(result["sent"], 1)}
    return median(bench.interleave("forwarding 1 MiB", [bench.raw], measure)[RAW], "cpu_us")


def run(bench):
    payload = os.urandom(MIB)
    bench.figure("forwarding 1 MiB to one receiver", _forwarding(bench), "us of CPU")
    bench.figure("SHA-256 of 1 MiB", _each(lambda i: hashlib.sha256(payload)), "us of CPU")
    bench.figure("writing 1 MiB to a new place in a file", _write(payload), "us of CPU")
    bench.figure("copying 1 MiB in memory", _each(lambda i: bytearray(payload)), "us of CPU")
