#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Races for a lock: who is refused is put right, so that nobody's scene differs."""

import sys
import time

import tap  # first: it says which packages are missing
import pytest

from client import DATA
from values import item, new_uuid
from wire import COMMON


@pytest.fixture
def trio(session):
    return session.admin, *session.join("bert", "carl")


def race(fleet, holder, other, node_uuid, act):
    """`other` acts before having seen that `holder` got the lock."""
    other.paused = True
    holder.lock(node_uuid)
    fleet.wait_until(lambda: holder.nodes[node_uuid].owner == holder.name)
    assert other.nodes[node_uuid].owner == COMMON
    act()
    other.paused = False


def test_refused_commit_is_answered_with_the_node(session, fleet, trio):
    anna, bert, carl = trio
    object_id = session.uuids[1]
    race(fleet, bert, carl, object_id, lambda: carl.edit(object_id, lambda d: d.update(name="carl's", extra=[1])))
    assert carl.nodes[object_id].data["name"] == "carl's", "a client applies its own change before sending it"
    fleet.wait_until(lambda: carl.nodes[object_id].state() == bert.nodes[object_id].state(),
                     what="carl's scene to be put right")
    assert anna.nodes[object_id].data["name"] != "carl's"
    session.check_same()


def test_refused_commits_in_a_row(session, fleet, trio):
    """A drag sends fifteen a second; each that comes late is refused, and so is its effect."""
    anna, bert, carl = trio
    object_id = session.uuids[1]

    def drag():
        for i in range(30):
            carl.edit(object_id, lambda d: d["history"].append(i))
    race(fleet, bert, carl, object_id, drag)
    bert.edit(object_id, lambda d: d["history"].append("bert's"))
    fleet.wait_until(lambda: carl.nodes[object_id].data["history"] == ["bert's"])
    session.check_same()


def test_refused_whole_node(session, fleet, trio):
    anna, bert, carl = trio
    object_id = session.uuids[1]
    race(fleet, bert, carl, object_id, lambda: carl.push(object_id, item("carl's"), [session.uuids[4]]))
    fleet.wait_until(lambda: carl.nodes[object_id].state() == bert.nodes[object_id].state())
    session.check_same()


def test_refused_lock_is_answered_with_the_owner(session, fleet, trio):
    anna, bert, carl = trio
    race(fleet, bert, carl, session.uuids[0], lambda: carl.lock(session.uuids[0], session.uuids[2]))
    fleet.wait_until(lambda: all(c.nodes[session.uuids[2]].owner == "carl" for c in trio),
                     what="the part that was free to be locked")
    assert all(c.nodes[session.uuids[0]].owner == "bert" for c in trio)
    session.check_same()


def test_refused_lock_when_the_client_believes_it_is_another_s(session, fleet, trio):
    """carl is told of bert's lock late, and of its release even later."""
    anna, bert, carl = trio
    node_uuid = session.uuids[0]
    carl.paused = True
    # Each has a socket of its own: what anna sends could overtake what bert has sent before.
    bert.lock(node_uuid)
    fleet.wait_until(lambda: anna.nodes[node_uuid].owner == "bert")
    bert.unlock(node_uuid)
    fleet.wait_until(lambda: anna.nodes[node_uuid].owner == COMMON)
    anna.lock(node_uuid)
    fleet.wait_until(lambda: anna.nodes[node_uuid].owner == "anna")
    carl.lock(node_uuid)
    carl.paused = False
    fleet.settle(*trio)
    session.check_same()
    assert carl.nodes[node_uuid].owner == "anna"


def test_refused_delete_leaves_the_node_with_all(session, fleet, trio):
    anna, bert, carl = trio
    race(fleet, bert, carl, session.uuids[0], lambda: carl.delete(session.uuids[0]))
    fleet.settle(*trio)
    assert all(session.uuids[0] in c.nodes for c in trio)
    session.check_same()


def test_everybody_wants_the_same_lock(session, fleet, rng):
    users = [session.admin, *session.join("bert", "carl", "dora", "emil")]
    for turn in range(20):
        rng.shuffle(users)
        for user in users:
            user.lock(session.uuids[0])
            user.edit(session.uuids[0], lambda d: d.update({f"by {user.name}": turn}))
        fleet.settle(*users)
        fleet.wait_until(lambda: len({u.nodes[session.uuids[0]].owner for u in users}) == 1)
        owner = users[0].nodes[session.uuids[0]].owner
        assert owner in {u.name for u in users}
        next(u for u in users if u.name == owner).unlock(session.uuids[0])
        fleet.settle(*users)
    session.check_same()


def test_commit_after_the_holder_has_left(make_session, fleet):
    session = make_session(timeout="2s", reconnect_grace="1s")
    bert, carl = session.join("bert", "carl")
    object_id = session.uuids[1]
    bert.lock(object_id)
    fleet.wait_until(lambda: carl.nodes[object_id].owner == "bert")
    bert.disconnect()
    fleet.wait_until(lambda: carl.nodes[object_id].owner == COMMON)
    carl.edit(object_id, lambda d: d.update(name="free again"))
    session.check_same(session.admin, carl)
    assert session.admin.nodes[object_id].data["name"] == "free again"


def join_over_slow_line(session, make_proxy):
    proxy = make_proxy(session.server)
    bert = session.join_over(proxy, "bert")
    proxy.bandwidth = 125_000  # 1 Mbit/s
    return bert


def test_lock_of_a_node_that_is_still_on_its_way(session, fleet, make_proxy):
    """Blender selects what it has just appended: the Right is here at once, the node whenever the line has it through."""
    bert = join_over_slow_line(session, make_proxy)
    large, small = new_uuid(), new_uuid()
    start = time.monotonic()
    bert.push(large, {**item("large"), "pixels": bytes(1 << 20)})
    bert.push(small, item("small"), [large])
    bert.lock(large, small)
    fleet.wait_until(lambda: small in session.admin.nodes, timeout=30)
    assert time.monotonic() - start > 7
    fleet.wait_until(lambda: all(user.nodes[node].owner == "bert" for user in session.users for node in (large, small)))
    session.check_same()


def test_delete_of_a_node_that_is_still_on_its_way(session, fleet, make_proxy):
    """It goes with the wrong file that has been appended, and comes to nobody; what has been made again does."""
    bert = join_over_slow_line(session, make_proxy)
    first, large, small, again = (new_uuid() for _ in range(4))
    bert.push(first, item("first"))
    bert.push(large, {**item("large"), "pixels": bytes(1 << 20)})
    bert.push(small, item("small"))
    bert.push(again, item("again"))
    fleet.wait_until(lambda: first in session.admin.nodes)
    for node in (large, small, again):
        bert.delete(node)
    fleet.wait_until(lambda: not {large, small, again} & set(bert.nodes))
    bert.push(again, item("made again"))
    session.admin.recorded = []
    fleet.wait_until(lambda: again in session.admin.nodes, timeout=30)
    seen = {frames[1].decode() for channel, frames in session.admin.recorded if channel == DATA}
    assert seen == {again} and session.admin.nodes[again].data["name"] == "made again"
    fleet.wait_until(lambda: again in bert.nodes)
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
