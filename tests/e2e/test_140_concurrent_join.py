#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining while others edit at full speed: each delta reaches a newcomer exactly once."""

import sys

import tap  # first: it says which packages are missing
import pytest

import wire
from client import DATA
from load import Load
from values import item, mesh, new_uuid
from wire import Kind


def insert(client, node_uuid, number):
    """A delta that doubles when it is applied twice."""
    client.edit(node_uuid, lambda d: d["history"].insert(0, f"{client.name} {number}"))


def test_every_insertion_arrives_once(make_session, fleet, rng):
    """List items inserted before, while and after each node is handed to the newcomer."""
    objects = [(new_uuid(rng), [], item(f"object {i}", rng)) for i in range(40)]
    session = make_session(nodes=objects)
    # Each list has one author: two who insert into the same list at the same time differ with any server.
    authors = [session.admin, *session.join("bert", "carl", "dora")]
    number = 0
    joiners = []
    for turn in range(8):
        joiner = session.connect(f"joiner {turn}")
        joiners.append(joiner)
        while joiner.state != "active":
            for author, mine in zip(authors, (objects[i::4] for i in range(4))):
                number += 1
                insert(author, rng.choice(mine)[0], number)
            fleet.pump()
    session.users += joiners
    fleet.settle(*authors, *joiners)
    for user in session.users:
        for node_uuid, node in user.nodes.items():
            history = node.data.get("history", [])
            assert len(history) == len(set(history)), f"{user.name} has applied a delta twice"
    print(f"{number} insertions during 8 joins")
    session.check_same()


def test_joins_under_full_load(make_session, fleet, rng):
    """Adding, editing, deleting by four users while eight others come in one after the other."""
    session = make_session(count=30)
    workers = [session.admin, *session.join("bert", "carl", "dora")]
    load = Load(fleet, workers, rng, shared=session.uuids)
    for turn in range(8):
        joiner = session.connect(f"joiner {turn}")
        while joiner.state != "active":
            load.turn()
            fleet.pump()
        session.users.append(joiner)
    print(f"{load.edits} edits")
    session.check_same()


def test_locks_change_during_a_join(make_session, fleet, rng):
    session = make_session(count=40)
    bert, carl = session.join("bert", "carl")
    joiner = session.connect("joiner")
    while joiner.state != "active":
        for user in (bert, carl):
            some = rng.sample(session.uuids, 5)
            mine = [u for u in session.uuids if user.nodes[u].owner == user.name]
            user.unlock(*mine)
            user.lock(*some)
        fleet.pump()
    session.users.append(joiner)
    session.check_same()


def test_node_is_replaced_while_it_is_handed_out(make_session, fleet, rng):
    session = make_session(count=2)
    big = new_uuid(rng)
    session.admin.push(big, mesh("big", rng, vertices=500_000))
    bert = session.join("bert")
    joiner = session.connect("joiner")
    number = 0
    while joiner.state != "active":
        number += 1
        bert.push(big, {**mesh("big", rng, vertices=1000), "number": number})
        bert.edit(big, lambda d: d.update(second=number))
        fleet.pump()
    session.users.append(joiner)
    session.check_same()


def test_a_commit_never_comes_before_its_node(make_session, fleet, rng):
    """A node that is made and edited at once, again and again, while somebody joins."""
    session = make_session(count=30)
    bert = session.join("bert")
    for turn in range(4):
        joiner = session.connect(f"joiner {turn}", record=True)
        while joiner.state != "active":
            fresh = new_uuid(rng)
            bert.push(fresh, item("fresh", rng))
            for number in range(3):
                insert(bert, fresh, number)
            fleet.pump()
        session.users.append(joiner)
        fleet.settle(session.admin, bert, joiner)
        fleet.check_clean(joiner)
    session.check_same()


def test_deletes_during_a_join(make_session, fleet, rng):
    """Deleted before, while and after being handed out, with commits of others on their way."""
    for turn in range(3):
        session = make_session(count=60)
        bert, carl = session.join("bert", "carl")
        victims = list(session.uuids)
        rng.shuffle(victims)
        joiner = session.connect("joiner")
        while joiner.state != "active":
            if len(victims) > 10:
                gone = victims.pop()
                carl.edit(rng.choice(victims), lambda d: d.update(name="c"))
                if gone in carl.nodes:
                    carl.edit(gone, lambda d: d.update(name="late"))
                bert.delete(gone)
            fleet.pump()
        session.users.append(joiner)
        session.check_same()


def test_two_joiners_help_each_other_nothing(make_session, fleet, rng):
    """One who stops midway does not hold up another, and finds a consistent scene when going on."""
    session = make_session(count=30, join_ahead="0")
    slow = session.connect("slow", fetches=4)
    fleet.wait_until(lambda: slow.stopped)
    slow.paused = True
    bert = session.join("bert")
    for number in range(50):
        for node_uuid in session.uuids[1:20:2]:
            insert(bert, node_uuid, number)
        fleet.pump()
    carl = session.join("carl")
    fleet.settle(bert, carl, session.admin)
    slow.paused = False
    slow.fetch_on()
    slow.wait_state("active")
    session.users.append(slow)
    session.check_same()


def test_joiner_gets_no_update_before_the_catalog_that_it_needs(make_session, fleet):
    """A client ignores its data socket until the catalog is there: nothing may be lost in between."""
    session = make_session(count=10)
    bert = session.join("bert")

    waiting = []
    joiner = session.connect("joiner", record=True)
    joiner.request_join = lambda: waiting.append(True)
    fleet.wait_until(lambda: waiting)
    for number in range(20):
        insert(bert, session.uuids[1], number)
    fresh = new_uuid()
    bert.push(fresh, item("fresh"))
    fleet.settle(session.admin, bert)
    del joiner.request_join
    joiner.request_join()
    joiner.wait_state("active")
    session.users.append(joiner)
    assert fresh in joiner.nodes
    session.check_same()


@pytest.mark.parametrize("vertices", [300_000])
def test_large_commits_during_a_join(make_session, fleet, rng, vertices):
    session = make_session(nodes=[(new_uuid(rng), [], mesh(f"mesh {i}", rng, vertices)) for i in range(6)])
    bert = session.join("bert")
    joiner = session.connect("joiner")
    number = 0
    while joiner.state != "active" and number < 60:
        number += 1
        data = rng.randbytes(12 * vertices)
        bert.edit(rng.choice(session.uuids), lambda d: d["vertices"].update(co=data))
        fleet.pump()
    joiner.wait_state("active")
    session.users.append(joiner)
    session.check_same()


def test_initiator_edits_while_the_lobby_joins(make_server, fleet, rng):
    """After an init everybody in the lobby joins at once, and the initiator goes on working."""
    server = make_server()
    waiting = [fleet.client(server.address, f"user {i}").connect().wait_state("lobby") for i in range(5)]
    admin = fleet.client(server.address, "anna", admin_password=server.admin_password).connect().wait_state("lobby")
    objects = [(new_uuid(rng), [], item(f"object {i}", rng)) for i in range(50)]
    admin.init(objects)
    admin.wait_state("active")
    number = 0
    while any(w.state != "active" for w in waiting):
        number += 1
        insert(admin, rng.choice(objects)[0], number)
        fleet.pump()
    fleet.check_same(server.address, admin, *waiting)
    assert not [f for w in waiting for f in (w.recorded or ()) if f[0] == DATA and wire.load(f[1][0]) == Kind.AUTH]


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
