# SPDX-License-Identifier: GPL-3.0-or-later
"""One module for each row of the promise; `run(bench)` of each adds its figures."""

from . import deltas, disturbed, fanout, flatout, idle, joins, journal, latency, memory, snapshot, startup, views

ALL = {
    "fan-out": fanout, "flat-out": flatout, "latency": latency, "deltas": deltas, "disturbed": disturbed,
    "journal": journal, "snapshot": snapshot, "start-up": startup, "joins": joins, "memory": memory, "idle": idle,
    "views": views,
}
