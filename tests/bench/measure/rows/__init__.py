# SPDX-License-Identifier: GPL-3.0-or-later
"""One module for each row of the promise; what is listed here takes a Bench and adds figures to it."""

from functools import partial

from . import costs, deltas, disturbed, fanout, flatout, idle, joins, journal, latency, memory, snapshot, startup, views

ALL = {
    "costs": costs.run,
    **{f"fan-out {label}": partial(fanout.run, label) for label in fanout.SIZES},
    "flat-out": flatout.run, "latency": latency.run, "deltas": deltas.run, "disturbed": disturbed.run,
    "journal": journal.run, "snapshot": snapshot.run, "start-up": startup.run, "joins": joins.run,
    "memory": memory.run, "idle": idle.run, "views": views.run,
}
