#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locking, unlocking and deleting."""

import sys

import tap  # first: it says which packages are missing
import pytest

import deltas
import wire
from client import DATA
from values import item, new_uuid
from wire import COMMON, Kind


@pytest.fixture
def trio(session):
    return session.admin, *session.join("bert", "carl")


def owners(clients, node_uuid):
    return {c.nodes[node_uuid].owner for c in clients}


@pytest.mark.reference
def test_lock_comes_back_to_the_sender_and_to_all(session, fleet, trio):
    node_uuid = session.uuids[0]
    trio[1].lock(node_uuid)
    assert trio[1].nodes[node_uuid].owner == COMMON, "a client applies it only when it comes back"
    fleet.wait_until(lambda: owners(trio, node_uuid) == {"bert"})
    trio[1].edit(node_uuid, lambda d: d.update(name="mine"))
    trio[1].unlock(node_uuid)
    fleet.wait_until(lambda: owners(trio, node_uuid) == {COMMON})
    session.check_same()


@pytest.mark.reference
def test_many_nodes_in_one_right(session, fleet, trio):
    trio[1].lock(*session.uuids)
    fleet.wait_until(lambda: all(owners(trio, u) == {"bert"} for u in session.uuids))
    session.check_same()


def test_unknown_nodes_in_a_right(session, fleet, trio):
    """An object that was just deleted by somebody else: the rest of the selection is locked all the same."""
    trio[1].right([new_uuid(), session.uuids[0], new_uuid()], "bert")
    fleet.wait_until(lambda: owners(trio, session.uuids[0]) == {"bert"})
    session.check_same()


def test_right_in_the_name_of_somebody_else(session, fleet, trio):
    anna, bert, carl = trio
    bert.command(Kind.RIGHT, {"uuid": [session.uuids[0]], "owner": "carl"}, owner="carl")
    bert.command(Kind.RIGHT, {"uuid": [session.uuids[1]], "owner": "bert"}, owner="anna")
    fleet.settle(anna, carl)
    newcomer = session.join("dora")
    for node_uuid in session.uuids[:2]:
        assert owners((anna, carl, newcomer), node_uuid) == {COMMON}


def test_unlocking_what_somebody_else_holds(session, fleet, trio):
    anna, bert, carl = trio
    node_uuid = session.uuids[0]
    bert.lock(node_uuid)
    fleet.wait_until(lambda: owners(trio, node_uuid) == {"bert"})
    carl.unlock(node_uuid)
    carl.lock(node_uuid)
    fleet.settle(*trio)
    assert owners(trio, node_uuid) == {"bert"}
    session.check_same()


@pytest.mark.reference
def test_delete_reaches_all_and_the_sender(session, fleet, trio):
    node_uuid = session.uuids[1]
    trio[1].delete(node_uuid)
    assert node_uuid in trio[1].nodes, "a client deletes only when it comes back"
    fleet.wait_until(lambda: all(node_uuid not in c.nodes for c in trio))
    session.check_same()


@pytest.mark.reference
def test_delete_cleans_dependencies(session, fleet, trio):
    mesh_id, object_id = session.uuids[:2]
    trio[1].delete(mesh_id)
    fleet.wait_until(lambda: all(mesh_id not in c.nodes for c in trio))
    newcomer = session.join("dora")
    assert newcomer.nodes[object_id].dependencies == []
    session.check_same()


@pytest.mark.reference
def test_delete_again(session, fleet, trio):
    """The add-on sends a Delete twice when an object and its data go together."""
    for _ in range(3):
        trio[1].delete(session.uuids[0])
    trio[2].delete(session.uuids[0])
    trio[2].delete(new_uuid())
    trio[1].edit(session.uuids[1], lambda d: d.update(name="still here"), dependencies=[])
    fleet.wait_until(lambda: all(c.nodes[session.uuids[1]].data["name"] == "still here" for c in trio))
    session.check_same()


def test_delete_of_what_somebody_else_holds(session, fleet, trio):
    anna, bert, carl = trio
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: owners(trio, session.uuids[0]) == {"bert"})
    carl.delete(session.uuids[0])
    fleet.settle(*trio)
    assert all(session.uuids[0] in c.nodes for c in trio)
    session.check_same()


def test_commit_after_a_delete_throws_nobody_out(session, fleet, trio):
    """Command and data are two sockets: such a Commit is ordinary, and every receiver would leave the session."""
    anna, bert, carl = trio
    for node_uuid in session.uuids[:6]:
        bert.delete(node_uuid)
        for _ in range(5):
            if node_uuid in carl.nodes:
                carl.edit(node_uuid, lambda d: d.update(name=d["name"] + "."))
    fleet.wait_until(lambda: all(u not in c.nodes for c in trio for u in session.uuids[:6]))
    fleet.settle(*trio)
    session.check_same()


def test_commit_whose_dependencies_name_a_deleted_node(session, fleet, trio):
    anna, bert, carl = trio
    mesh_id, object_id = session.uuids[:2]
    bert.delete(mesh_id)
    carl.edit(object_id, lambda d: d.update(name="late"), dependencies=[mesh_id])
    fleet.wait_until(lambda: all(mesh_id not in c.nodes for c in trio))
    fleet.wait_until(lambda: all(c.nodes[object_id].data["name"] == "late" for c in trio))
    session.check_same()


def test_whole_node_of_somebody_else_after_a_delete_brings_no_ghost_back(session, fleet, trio):
    anna, bert, carl = trio
    node_uuid = session.uuids[0]
    data = carl.nodes[node_uuid].data
    bert.delete(node_uuid)
    fleet.wait_until(lambda: all(node_uuid not in c.nodes for c in trio))
    carl.send(DATA, wire.node_frames(node_uuid, COMMON, [], data))
    fleet.settle(*trio)
    newcomer = session.join("dora")
    assert all(node_uuid not in c.nodes for c in (anna, bert, newcomer))
    session.check_same()


@pytest.mark.reference
def test_leaving_releases_locks(make_session, fleet):
    session = make_session(timeout="2000ms", reconnect_grace="1s") if not tap.REFERENCE else make_session(timeout=2000)
    bert, carl = session.join("bert", "carl")
    bert.lock(*session.uuids[:4])
    fleet.wait_until(lambda: owners((session.admin, carl), session.uuids[0]) == {"bert"})
    before = carl.counts[Kind.RIGHT]
    bert.disconnect()
    fleet.wait_until(lambda: all(owners((session.admin, carl), u) == {COMMON} for u in session.uuids))
    assert carl.counts[Kind.RIGHT] == before + 1, "one Right releases all"
    session.check_same(session.admin, carl)


def test_deltas_of_a_locked_node_by_others_go_nowhere(session, fleet, trio):
    anna, bert, carl = trio
    object_id = session.uuids[1]
    bert.lock(object_id)
    fleet.wait_until(lambda: owners(trio, object_id) == {"bert"})
    payload = deltas.raw_delta({"values_changed": {"root['name']": {"new_value": "stolen"}}})
    carl.send(DATA, wire.commit_frames(object_id, [], payload))
    carl.send(DATA, wire.node_frames(object_id, COMMON, [], item("stolen")))
    fleet.settle(*trio)
    assert all(c.nodes[object_id].data["name"] != "stolen" for c in trio)
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
