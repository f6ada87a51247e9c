#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling an empty session."""

import sys

import tap  # first: it says which packages are missing
import pytest

import wire
from server import ADMIN_PASSWORD
from values import mesh, new_uuid, scene
from wire import COMMON, Kind, Status


@pytest.fixture
def lobby(server, fleet):
    """An admin and an ordinary user waiting in the lobby of an empty session."""
    admin = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect()
    user = fleet.client(server.address, "bert").connect()
    fleet.wait_until(lambda: admin.state == user.state == "lobby")
    fleet.wait_until(lambda: all(set(c.users) == {"anna", "bert"} for c in (admin, user)))
    return admin, user


def server_snapshot(client, **data):
    client.command(Kind.SERVER_SNAPSHOT, data, owner="server")


def set_node(client, node_uuid, dependencies, data):
    server_snapshot(client, STATE="SET", DATA=wire.node_frames(node_uuid, COMMON, dependencies, data))


@pytest.mark.reference
def test_init_reaches_those_who_wait(server, fleet, lobby, rng):
    admin, user = lobby
    admin.init(scene(11, rng))
    fleet.wait_active(admin, user)
    assert admin.dialogue == ["ACCEPTED", "DONE"]
    assert len(user.nodes) == 11
    fleet.wait_until(lambda: all(c.users[n]["status"] == Status.ACTIVE for c in lobby for n in ("anna", "bert")))
    fleet.check_same(server.address, admin, user)


@pytest.mark.reference
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_sizes(server, fleet, lobby, rng, count):
    admin, user = lobby
    admin.init(scene(count, rng) if count > 1 else [(new_uuid(rng), [], mesh("one", rng))])
    fleet.wait_active(admin, user)
    assert len(user.nodes) == count
    fleet.check_same(server.address, admin, user)


@pytest.mark.reference
def test_large_node(server, fleet, lobby, rng):
    admin, user = lobby
    admin.init([(new_uuid(rng), [], mesh("big", rng, vertices=2_000_000))])
    fleet.wait_active(admin, user)
    fleet.check_same(server.address, admin, user)


def test_second_init_is_rejected_while_one_is_under_way(server, fleet, lobby, rng):
    admin, user = lobby
    other = fleet.client(server.address, "carl", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    nodes = scene(6, rng)
    admin.init(nodes, sending=False)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED"])
    other.init(scene(4, rng))
    fleet.wait_until(lambda: other.dialogue == ["REJECTED"])
    assert other.state == "lobby"
    other.nodes.clear()
    admin._send_init()
    fleet.wait_active(admin, user, other)
    fleet.check_same(server.address, admin, user, other)


def test_login_during_an_init_waits_and_is_served(server, fleet, lobby, rng):
    admin, user = lobby
    nodes = scene(6, rng)
    admin.init(nodes, sending=False)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED"])
    set_node(admin, *nodes[0])
    late = fleet.client(server.address, "late").connect().wait_state("lobby")
    assert late.answers == ["LOBBY"]
    for node in nodes[1:]:
        set_node(admin, *node)
    server_snapshot(admin, STATE="END")
    fleet.wait_active(admin, user, late)
    fleet.check_same(server.address, admin, user, late)


@pytest.mark.parametrize("sent", [0, 1, 3, 5])
@pytest.mark.parametrize("how", ["disconnect", "crash"])
def test_vanished_initiator_rolls_back(make_server, fleet, rng, sent, how):
    server = make_server(timeout="1500ms", reconnect_grace="1s")
    admin = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    user = fleet.client(server.address, "bert").connect().wait_state("lobby")
    nodes = scene(6, rng)
    admin.init(nodes, sending=False)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED"])
    for node in nodes[:sent]:
        set_node(admin, *node)
    fleet.wait_until(lambda: not admin.unsent)
    getattr(admin, how)()
    fleet.wait_until(lambda: set(user.users) == {"bert"}, what="the initiator to be gone")
    assert user.state == "lobby"
    newcomer = fleet.client(server.address, "carl", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    fresh = scene(4, rng)
    newcomer.init(fresh)
    fleet.wait_active(newcomer, user)
    assert user.nodes.keys() == {n[0] for n in fresh}, "the abandoned init has left nodes behind"
    fleet.check_same(server.address, newcomer, user)


def test_init_by_somebody_who_is_no_admin(server, fleet, lobby, rng):
    admin, user = lobby
    user.init(scene(4, rng))
    fleet.wait_until(lambda: user.dialogue, what="an answer to the init of an ordinary user")
    assert user.dialogue == ["REJECTED"]
    user.nodes.clear()
    admin.init(scene(6, rng))
    fleet.wait_active(admin)
    fleet.wait_active(user)
    fleet.check_same(server.address, admin, user)


def test_init_of_a_running_session_changes_nothing(session, fleet, rng):
    user = session.join("bert")
    before = user.scene()
    intruder = session.connect("carl", admin=True).wait_state("active")
    for node in scene(4, rng):
        server_snapshot(intruder, STATE="INIT", SIZE=1, NODES=[node[0]])
        set_node(intruder, *node)
        server_snapshot(intruder, STATE="END")
    # The stock client takes an answer to this for an error, so it may get one or none; the scene matters.
    fleet.settle(session.admin, user, intruder)
    marks = {u for u in user.nodes if user.nodes[u].data["type_id"] == "Mark"}
    assert {u: s for u, s in user.scene().items() if u not in marks} == before
    intruder.disconnect()
    session.check_same(session.admin, user)


def test_nodes_that_were_not_announced(server, fleet, lobby, rng):
    """An END before all are there, the same SET twice, and one of a uuid that INIT did not name, which ends the init."""
    admin, user = lobby
    nodes = scene(4, rng)
    admin.init(nodes, sending=False)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED"])
    server_snapshot(admin, STATE="END")
    stranger = (new_uuid(rng), [], mesh("stranger", rng))
    set_node(admin, *nodes[0])
    set_node(admin, *nodes[0])
    set_node(admin, *stranger)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED", "REJECTED"])
    admin.init(nodes)
    fleet.wait_active(admin, user)
    session_uuids = set(user.nodes)
    assert session_uuids >= {n[0] for n in nodes}
    fleet.check_same(server.address, user)


def test_garbage_as_node_of_an_init(server, fleet, lobby, rng):
    admin, user = lobby
    nodes = scene(4, rng)
    admin.init(nodes, sending=False)
    fleet.wait_until(lambda: admin.dialogue == ["ACCEPTED"])
    for bad in [None, b"", [], [b"x"] * 5, ["text"] * 5, {"a": 1}, [b"\x80\x04K\x02."] * 5]:
        server_snapshot(admin, STATE="SET", DATA=bad)
    admin._send_init()

    def decided():
        return admin.state in ("active", "left") or "already" in str(admin.dialogue)
    # The server either overlooks what is no node or ends that connection; the lobby stays usable in both cases.
    try:
        fleet.wait_until(decided, timeout=20)
    finally:
        server.check_alive()
    if admin.state != "active":
        admin.close()
        admin = fleet.client(server.address, "dora", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
        admin.init(scene(4, rng))
    fleet.wait_active(admin, user)
    fleet.check_same(server.address, admin, user)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
