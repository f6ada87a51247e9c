# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process has used, from /proc."""

import os
import re


def _cpu_seconds(pid):
    """Of all threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stream:
                total += int(stream.read().split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def _written_bytes(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as stream:
        return int(re.search(r"wchar: (\d+)", stream.read()).group(1))


class Usage:
    """At one moment; the difference of two is what was used between them."""

    def __init__(self, cpu, written):
        self.cpu, self.written = cpu, written

    @classmethod
    def of(cls, pid):
        return cls(_cpu_seconds(pid), _written_bytes(pid))

    def __sub__(self, other):
        return Usage(self.cpu - other.cpu, self.written - other.written)


def anonymous_bytes(pid):
    """What the process holds for itself; mapped files, which the kernel may drop, are not counted."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
        return 1024 * int(re.search(r"\nAnonymous:\s+(\d+)", stream.read()).group(1))
