#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users on slow lines, and users who do not read at all: late, never wrong, and no burden to the others."""

import sys
import time

import tap  # first: it says which packages are missing
import pytest

import deltas
import wire
from client import DATA
from proxy import Proxy
from values import item, mesh, new_uuid
from wire import Kind

MIB = 1 << 20


@pytest.fixture
def slow_line(fleet):
    """Joins through a line whose command and data channels a test can stall; the heartbeat has a line of its own."""
    made = []

    def join(session, name, **options):
        proxy = Proxy(session.server.ports, **options)
        made.append(proxy)
        host, ports = proxy.address
        user = session.fleet.client((host, [*ports[:2], session.server.ports[2]]), name).connect()
        user.wait_state("active", timeout=120)
        session.users.append(user)
        session.announced()
        return user, proxy
    yield join
    fleet.close()
    for proxy in made:
        proxy.close()


def push_many(fleet, sender, receiver, uuids, rng, rounds, vertices):
    """New whole versions of these nodes; returns the seconds until the receiver has the last of each."""
    start = time.monotonic()
    for number in range(rounds):
        for node_uuid in uuids:
            sender.push(node_uuid, {**mesh("bulk", rng, vertices), "number": number})
            fleet.pump()
    fleet.wait_until(lambda: all(receiver.nodes[u].data.get("number") == rounds - 1 for u in uuids if u in receiver.nodes)
                     and set(uuids) <= set(receiver.nodes), timeout=120)
    return time.monotonic() - start


def test_one_who_does_not_read(make_session, fleet, rng, slow_line):
    session = make_session(max_client_backlog="8M", backlog_timeout="10min")
    bert = session.join("bert")
    uuids = [new_uuid(rng) for _ in range(10)]
    quiet = push_many(fleet, session.admin, bert, uuids, rng, 8, 87_000)
    slow, line = slow_line(session, "slow")
    before = session.server.memory()
    line.stall()
    stalled = push_many(fleet, session.admin, bert, uuids, rng, 8, 87_000)
    grown = session.server.memory() - before
    print(f"80 MiB to a fast user: {quiet:.2f} s alone, {stalled:.2f} s beside one who does not read; "
          f"memory grew by {grown / MIB:.0f} MiB")
    assert stalled < 3 * quiet + 2.0, "the others were slowed down"
    assert grown < session.server.allowance(60 * MIB), f"{grown / MIB:.0f} MiB are held for one client"
    line.resume()
    fleet.wait_until(lambda: all(slow.nodes[u].data.get("number") == 7 for u in uuids), what="the slow one to catch up")
    session.check_same()


def test_nothing_is_lost_to_one_who_stalls(make_session, fleet, rng, slow_line):
    """Deltas, new nodes, Deletes and Rights of the time in which it did not read."""
    session = make_session(max_client_backlog="2M", backlog_timeout="10min", count=20)
    bert = session.join("bert")
    slow, line = slow_line(session, "slow")
    line.stall()
    fresh = [new_uuid(rng) for _ in range(20)]
    for i, node_uuid in enumerate(fresh):
        bert.push(node_uuid, mesh(f"fresh {i}", rng, 30_000), [fresh[i - 1]] if i else [])
    for number in range(200):
        for node_uuid in session.uuids[1::4]:
            bert.edit(node_uuid, lambda d: d["history"].insert(0, number))
        fleet.pump()
    for node_uuid in session.uuids[::4]:
        bert.delete(node_uuid)
    bert.delete(fresh[3])
    bert.lock(*session.uuids[3::4], *fresh[5:8])
    fleet.settle(session.admin, bert)
    session.admin.edit(session.uuids[1], lambda d: d.update(name="last"))
    line.resume()
    fleet.wait_until(lambda: slow.nodes[session.uuids[1]].data["name"] == "last"
                     and slow.scene() == session.admin.scene(), what="the slow one to catch up")
    session.check_same()


def test_line_that_breaks_while_much_waits(make_session, fleet, rng, slow_line):
    """What was on its way is lost, and with it nodes that what still waits at the server builds upon."""
    session = make_session(backlog_timeout="10min", count=6)
    bert = session.join("bert")
    slow, line = slow_line(session, "slow")
    line.stall()
    fresh = [new_uuid(rng) for _ in range(40)]
    for i, node_uuid in enumerate(fresh):
        bert.push(node_uuid, mesh(f"fresh {i}", rng, 30_000), [fresh[i - 1]] if i else [])
    for number in range(5):
        for node_uuid in fresh:
            bert.edit(node_uuid, lambda d: d["props"].update({f"{number}": number}))
        fleet.settle(session.admin, bert)
    line.cut()
    line.resume()
    fleet.wait_until(lambda: slow.scene() == session.admin.scene(), what="the slow one to catch up")
    session.check_same()


def test_restart_while_much_is_on_its_way(make_session, fleet, rng, slow_line):
    """The Delete of the new server does not overtake what the old one has left on the line."""
    session = make_session(backlog_timeout="10min")
    bert = session.join("bert")
    slow, _ = slow_line(session, "slow", bandwidth=20_000)
    gone = [new_uuid(rng) for _ in range(3)]
    for node_uuid in gone:
        bert.push(node_uuid, mesh("gone", rng, 1000))
    fleet.wait_until(lambda: set(gone) <= set(slow.nodes))
    fleet.settle(session.admin, bert, slow)
    for number in range(60):
        bert.edit(gone[number % 3], lambda d: d.update(name=f"edit {number}"))
        bert.push(session.uuids[0], mesh("bulk", rng, 500))
        fleet.pump()
    fleet.settle(session.admin, bert)
    session.server.kill()
    assert slow.nodes[gone[2]].data["name"] != "edit 59", "the line was not slow enough for this test"
    for node_uuid in gone:
        bert.delete(node_uuid)
    session.server.start()
    fleet.wait_until(lambda: slow.state != "active" or not set(gone) & set(slow.nodes), timeout=120, what="the Deletes")
    assert slow.state == "active", slow.describe()
    session.check_same(timeout=60)


def test_presence_is_not_stuck_behind_bulk(make_session, fleet, rng, slow_line):
    """Chat, the user table and heartbeats of a user on a line of 2 Mbit/s while 4 MiB are on their way to it."""
    session = make_session()
    bert = session.join("bert")
    slow, line = slow_line(session, "slow", bandwidth=250_000)
    big = new_uuid(rng)
    bert.push(big, mesh("big", rng, 330_000))
    bert.metadata(chat_messages="hallo")
    fleet.wait_until(lambda: slow.users["bert"]["metadata"].get("chat_messages") == "hallo")
    assert big not in slow.nodes, "the line was not slow enough for this test"
    fleet.wait_until(lambda: big in slow.nodes, timeout=120)
    session.check_same()


def test_slow_line_under_load(make_session, fleet, rng, slow_line):
    """More is made than a line of 1 Mbit/s carries: it skips what is superseded and ends up right."""
    session = make_session(max_client_backlog="1M", backlog_timeout="10min", count=2)
    bert = session.join("bert")
    slow, line = slow_line(session, "slow", bandwidth=125_000)
    uuids = [new_uuid(rng) for _ in range(3)]
    for number in range(60):
        for node_uuid in uuids:
            bert.push(node_uuid, {**mesh("bulk", rng, 5000), "number": number})
        fleet.pump(20)
    fleet.wait_until(lambda: all(u in slow.nodes and slow.nodes[u].data["number"] == 59 for u in uuids), timeout=120)
    session.check_same(timeout=60)


def test_joining_over_a_slow_line_slows_nobody(make_session, fleet, rng, slow_line):
    session = make_session(count=10)
    session.admin.push(new_uuid(rng), mesh("big", rng, 100_000))
    bert = session.join("bert")
    proxy = Proxy(session.server.ports, bandwidth=250_000)
    joiner = fleet.client(proxy.address, "joiner").connect()
    try:
        joiner.wait_state("syncing")
        number, worst = 0, 0.0
        while joiner.state != "active":
            number += 1
            start = time.monotonic()
            bert.edit(session.uuids[1], lambda d: d.update(number=number))
            fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].data.get("number") == number)
            worst = max(worst, time.monotonic() - start)
        print(f"{number} edits while one joined over a slow line, the slowest took {worst * 1000:.0f} ms")
        assert worst < 2.0
        session.users.append(joiner)
        session.check_same(timeout=60)
    finally:
        joiner.close()
        proxy.close()


def test_one_who_stays_over_its_limit_is_told_and_dropped(make_session, fleet, rng, slow_line):
    session = make_session(max_client_backlog="1M", backlog_timeout="1s")
    bert = session.join("bert")
    slow, line = slow_line(session, "slow")
    line.stall()
    number = 0
    while "slow" in bert.users:
        number += 1
        session.admin.push(session.uuids[0], {**mesh("bulk", rng, 100_000), "number": number})
        for node_uuid in session.uuids[2::2]:
            session.admin.push(node_uuid, mesh("bulk", rng, 100_000))
        fleet.pump(20)
        assert number < 2000, "never dropped"
    line.resume()
    slow.wait_state("left")
    assert type(slow.reason) is dict and slow.reason["reason"], f"told {slow.reason!r} instead of why"
    session.check_same(session.admin, bert)


def test_as_fast_as_the_sender_can(make_session, fleet, rng):
    """Nothing is lost when the receivers are slower than the sender; a library's high-water mark would drop."""
    session = make_session(nodes=[(new_uuid(rng), [], item("target", rng))])
    receivers = session.join("bert", "carl", "dora")
    (target,) = session.uuids
    count = 2000
    start = time.monotonic()
    for number in range(count):
        payload = deltas.raw_delta({"dictionary_item_added": {f"root['props'][{number}]": number}})
        session.admin.send(DATA, wire.commit_frames(target, [], payload))
    # The sender's own copy, in one step instead of two thousand.
    session.admin.nodes[target].data["props"] = {n: n for n in range(count)}
    session.admin.nodes[target].data = session.admin.nodes[target].data

    def all_there():
        return all(len(r.nodes[target].data["props"]) == count for r in receivers)
    fleet.wait_until(all_there, timeout=240)
    print(f"{count} commits to {len(receivers)} receivers in {time.monotonic() - start:.1f} s")
    assert all(r.counts[Kind.COMMIT] <= count for r in receivers)
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
