#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining from far away: nodes are sent ahead of the questions for them, and nothing else differs."""

import signal
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from values import item, new_uuid

ROUND_TRIP = 0.05


def nodes(rng, count):
    return [(new_uuid(rng), [], item(f"object {i}", rng)) for i in range(count)]


def begin(fleet, proxy, name):
    return fleet.client(proxy.address, name, password="").connect()


class Work:
    """An admin who goes on editing, deleting and adding while others join."""

    def __init__(self, session, rng):
        self.session = session
        self.rng = rng
        self.n = 0

    def __call__(self):
        admin = self.session.admin
        self.n += 1
        uuids = [u for u in admin.nodes if u in set(self.session.uuids)]
        chosen = self.rng.choice(uuids)
        if self.n % 10 == 0:
            admin.delete(chosen)
        elif self.n % 10 == 5:
            admin.push(new_uuid(self.rng), item(f"new {self.n}", self.rng))
        else:
            admin.edit(chosen, lambda data: data.setdefault("made", []).append(self.n))


def work_until(fleet, work, condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain\n" + fleet.describe()
        work()
        fleet.pump(10)


def test_one_round_trip_does_not_cost_one_for_each_node(make_session, make_proxy, fleet, rng):
    session = make_session(nodes(rng, 200))
    proxy = make_proxy(session.server, delay=ROUND_TRIP / 2)
    start = time.monotonic()
    bert = begin(fleet, proxy, "bert")
    bert.wait_state("active", 30)
    took = time.monotonic() - start
    print(f"# 200 nodes at {ROUND_TRIP * 1000:.0f} ms: {took:.2f} s")
    assert took < 200 * ROUND_TRIP / 2
    session.users.append(bert)
    session.check_same()


def test_without_sending_ahead(make_session, make_proxy, fleet, rng):
    session = make_session(nodes(rng, 20), join_ahead="0")
    proxy = make_proxy(session.server, delay=ROUND_TRIP / 2)
    start = time.monotonic()
    bert = begin(fleet, proxy, "bert")
    bert.wait_state("active", 30)
    assert time.monotonic() - start >= 20 * ROUND_TRIP
    session.users.append(bert)
    session.check_same()


def test_everything_changes_meanwhile(make_session, make_proxy, fleet, rng):
    """Deltas append to lists, so one that came twice or not at all would show."""
    session = make_session(nodes(rng, 300))
    proxy = make_proxy(session.server, delay=ROUND_TRIP / 2)
    work = Work(session, rng)
    joining = [begin(fleet, proxy, f"user {i}") for i in range(3)]
    work_until(fleet, work, lambda: all(c.state == "active" for c in joining))
    session.users += joining
    session.check_same()


def test_the_line_breaks_meanwhile(make_session, make_proxy, fleet, rng):
    """It goes on from where it was, without the nodes that have arrived."""
    session = make_session(nodes(rng, 400))
    proxy = make_proxy(session.server, delay=ROUND_TRIP / 2)
    work = Work(session, rng)
    bert = begin(fleet, proxy, "bert")
    for part in (20, 120):
        work_until(fleet, work, lambda: len(bert.nodes) >= part)
        assert bert.state == "syncing"
        proxy.cut()
    work_until(fleet, work, lambda: bert.state == "active")
    # What was under way when the line broke is sent again, and a client leaves it aside with a word in its log.
    bert.errors = [e for e in bert.errors if "was asked for" not in e]
    session.users.append(bert)
    session.check_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_the_server_is_restarted_meanwhile(make_session, make_proxy, fleet, rng, number):
    session = make_session(nodes(rng, 400))
    proxy = make_proxy(session.server, delay=ROUND_TRIP / 2)
    bert = begin(fleet, proxy, "bert")
    fleet.wait_until(lambda: len(bert.nodes) >= 20)
    assert bert.state == "syncing"
    session.server.restart(number)
    bert.wait_state("active", 30)
    bert.errors = [e for e in bert.errors if "was asked for" not in e]
    session.users.append(bert)
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
