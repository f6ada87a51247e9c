#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""While somebody attacks the server, two who work in the session notice nothing: no edit is late or lost, no PING."""

import statistics
import sys
import time

import tap  # first: it says which packages are missing
import pytest

import attacks

SECONDS = 4.0


def witness(session, fleet, bert, seconds):
    """Edits of one that the other sees, one after the other: the times that they took, in milliseconds, and the most memory
    that the server had."""
    took, memory = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = len(took) + 1
        start = time.monotonic()
        bert.edit(session.uuids[1], lambda d: d.update(number=[number, start]))
        fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].data.get("number") == [number, start])
        took.append((time.monotonic() - start) * 1000)
        memory = max(memory, session.server.memory())
        fleet.pump(5)
    return took, memory


@pytest.mark.parametrize("attack", attacks.ALL, ids=lambda a: a.__name__)
def test_nobody_notices(make_session, fleet, attack):
    session = make_session(reconnect_grace="1s", max_users=40)
    bert = session.join("bert")
    quiet, before = witness(session, fleet, bert, SECONDS / 2)
    for user in (session.admin, bert):
        user.heartbeat.longest_gap = 0.0
    with attacks.Attack(attack, session.server.ports) as under_way:
        attacked, memory = witness(session, fleet, bert, SECONDS)
        assert under_way.alive, "the attack ended by itself"
    gap = max(u.heartbeat.longest_gap for u in (session.admin, bert))
    print(f"{attack.__name__}: median {statistics.median(quiet):.1f} ms alone, {statistics.median(attacked):.1f} ms meanwhile; "
          f"slowest of {len(attacked)} {max(attacked):.0f} ms; longest wait for a PING {gap:.2f} s; {(memory - before) >> 20} MB more")
    # Ten thousand connections take most of it.
    assert memory < before + session.server.allowance(400_000_000)
    assert statistics.median(attacked) < 10 * statistics.median(quiet) + 50, "edits became slow"
    assert max(attacked) < 5000 and gap < 4.0
    assert session.admin.state == bert.state == "active"
    fleet.wait_until(lambda: set(bert.users) == {"anna", "bert"}, timeout=60)
    session.check_same(session.admin, bert)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
