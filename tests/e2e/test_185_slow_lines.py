#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who reads nothing, somebody on 1 Mbit/s and somebody 300 ms away, beside users who are near.

    E2E_SLOW_LONG=1 E2E_CASE_LIMIT=3000 tests/e2e/test_185_slow_lines.py

does the same with payloads up to 64 MiB and a minute of reading nothing, which takes half an hour: 64 MiB alone take nine
minutes at 1 Mbit/s.
"""

import os
import statistics
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from proxy import Proxy
from values import item, mesh, new_uuid
from wire import Kind

LONG = bool(os.environ.get("E2E_SLOW_LONG"))
KIB, MIB = 1 << 10, 1 << 20
SIZES = [KIB, 16 * KIB, 64 * KIB, 256 * KIB] + ([8 * MIB, 64 * MIB] if LONG else [])
STALL = 60.0 if LONG else 3.0
BACKLOG = 64 * MIB if LONG else 4 * MIB
PATIENCE = 1500 if LONG else 120
MODEM = 125_000  # bytes a second: 1 Mbit/s


@pytest.fixture
def lines(fleet):
    """Joins through a line; the heartbeat as well, except of somebody whose Blender is busy."""
    made = []

    def join(session, name, busy=False, **options):
        proxy = Proxy(session.server.ports, **options)
        made.append(proxy)
        host, ports = proxy.address
        user = fleet.client((host, [*ports[:2], session.server.ports[2]] if busy else ports), name).connect()
        user.wait_state("active", timeout=PATIENCE)
        session.users.append(user)
        return user, proxy
    yield join
    fleet.close()
    for proxy in made:
        proxy.close()


class Order:
    """Notes nodes that come to a client before what they depend on."""

    def __init__(self, client):
        self.wrong = []
        client.on_update = self.look

    def look(self, client, update):
        if update.kind is Kind.NODE:
            self.wrong += [(update.uuid, d) for d in update.dependencies or () if d not in client.nodes]


class Work:
    """An admin whose whole nodes, deltas, new nodes with dependencies, Deletes and Rights keep the lines busy, and an edit
    by another user now and then, of which is measured how long it takes."""

    def __init__(self, session, bert, rng):
        self.session, self.bert, self.rng = session, bert, rng
        self.bulk = [new_uuid(rng) for _ in SIZES]
        self.number = 0
        self.deleted = []

    def turn(self):
        admin, rng, n = self.session.admin, self.rng, self.number
        which = n % len(SIZES)
        admin.push(self.bulk[which], mesh(f"bulk {n}", rng, SIZES[which] // 12))
        fresh = new_uuid(rng)
        admin.push(fresh, item(f"fresh {n}", rng), [self.bulk[which]])
        admin.edit(fresh, lambda d: d.update(name="changed"))
        if n % 3 == 0:
            admin.lock(fresh)
        if n % 3 == 1:
            admin.delete(fresh)
            self.deleted.append(fresh)

    def measure(self, fleet, seconds, also=lambda: None):
        took = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.number += 1
            self.turn()
            number = self.number
            start = time.monotonic()
            self.bert.edit(self.session.uuids[1], lambda d: d.update(number=number))
            fleet.wait_until(lambda: self.session.admin.nodes[self.session.uuids[1]].data.get("number") == number)
            took.append(time.monotonic() - start)
            also()
            for _ in range(5):
                fleet.pump(20)
        return statistics.median(took) * 1000, max(took) * 1000, len(took)


def test_nobody_is_slowed_down_and_nothing_is_wrong(make_session, fleet, rng, lines):
    session = make_session(max_client_backlog=BACKLOG, backlog_timeout="10min")
    bert = session.join("bert")
    work = Work(session, bert, rng)
    work.measure(fleet, 1.0)
    before = session.server.memory()
    quiet = work.measure(fleet, STALL)
    alone = session.server.memory()
    asleep, bed = lines(session, "asleep", busy=True)
    modem, _ = lines(session, "modem", bandwidth=MODEM)
    far, _ = lines(session, "far", delay=0.15)
    session.announced()
    orders = {user: Order(user) for user in (asleep, modem, far)}
    fleet.settle(session.admin, bert, also=[far])
    bed.stall()
    peak = 0

    def look():
        nonlocal peak
        peak = max(peak, session.server.memory())
    beside = work.measure(fleet, STALL, look)
    print(f"edits of a near user while there is work: median {quiet[0]:.1f} ms, slowest {quiet[1]:.0f} ms of {quiet[2]} "
          f"without slow users; {beside[0]:.1f} ms, {beside[1]:.0f} ms of {beside[2]} beside three of them")
    print(f"memory: {before / MIB:.0f} MiB before, {alone / MIB:.0f} without slow users, {peak / MIB:.0f} at most with three, "
          f"each of which may cost {BACKLOG / MIB:.0f}")
    assert beside[0] < 5 * quiet[0] + 100, "the others were slowed down"
    assert peak - alone < session.server.allowance(3 * BACKLOG + 2 * max(SIZES) + 16 * MIB)
    start = time.monotonic()
    bed.resume()
    last = session.admin.nodes[work.bulk[0]].data["name"]
    for user in (far, asleep, modem):
        fleet.wait_until(lambda: user.scene() == session.admin.scene() or user.state == "left", PATIENCE,
                         f"{user.name} to catch up with {last}")
        assert user.state == "active", user.describe()
        print(f"{user.name} has caught up after {time.monotonic() - start:.1f} s")
    for user, order in orders.items():
        assert not order.wrong, f"{user.name} got {len(order.wrong)} nodes before what they depend on"
        assert not set(work.deleted) & set(user.nodes), f"{user.name} has ghosts"
        assert user.heartbeat.longest_gap < 5.0, f"{user.name} waited {user.heartbeat.longest_gap:.1f} s for a PING"
    print("longest wait for a PING: " + ", ".join(f"{u.name} {u.heartbeat.longest_gap:.1f} s" for u in (modem, far)))
    session.check_same(timeout=PATIENCE)


def test_words_pass_a_large_node(make_session, fleet, rng, lines):
    """64 MiB are on their way to somebody on 1 Mbit/s, which takes nine minutes: PINGs, chat and the table come."""
    session = make_session()
    bert = session.join("bert")
    modem, _ = lines(session, "modem", bandwidth=MODEM)
    session.announced()
    big = new_uuid(rng)
    bert.push(big, mesh("big", rng, 64 * MIB // 13))
    fleet.wait_until(lambda: big in session.admin.nodes, 60)
    modem.heartbeat.longest_gap, pings = 0.0, modem.heartbeat.pings
    slowest = 0.0
    for number in range(6):
        start = time.monotonic()
        bert.metadata(chat_messages=f"word {number}")
        fleet.wait_until(lambda: modem.users["bert"]["metadata"].get("chat_messages") == f"word {number}", 20)
        slowest = max(slowest, time.monotonic() - start)
        fleet.pump(200)
    carl = session.join("carl")
    fleet.wait_until(lambda: "carl" in modem.users, 20)
    modem.lock(session.uuids[3])
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[3]].owner == "modem", 20)
    assert big not in modem.nodes, "the line was not slow enough for this test"
    fleet.wait_until(lambda: modem.heartbeat.pings >= pings + 5, 20)
    print(f"slowest of 6 words {slowest:.2f} s, longest wait for a PING {modem.heartbeat.longest_gap:.2f} s")
    assert slowest < 8.0 and modem.heartbeat.longest_gap < 5.0
    modem.disconnect()
    session.users.remove(modem)
    session.check_same(session.admin, bert, carl)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
