#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that speak the protocol well and mean no good: floods, storms, stolen names."""

import resource
import socket
import sys
import time

import tap  # first: it says which packages are missing
import pytest

import wire
from client import COMMAND, DATA
from server import ADMIN_PASSWORD
from values import item, mesh, new_uuid
from wire import COMMON, Kind


def unmoved(session, fleet, *users):
    """Those who are in the session go on as if nothing had been."""
    for user in users:
        assert user.state == "active", user.describe()
        user.edit(session.uuids[1], lambda d: d["props"].update({user.name: time.monotonic()}))
    fleet.settle(*users)
    session.check_same(*users)


def test_routing_ids_are_not_shown(session, fleet):
    """Whoever presents a routing id is its owner, so no client may ever learn another one's."""
    bert, carl = session.join("bert", "carl", record=True)
    bert.lock(session.uuids[0])
    bert.metadata(color="red")
    bert.edit(session.uuids[1], lambda d: d.update(name="x"))
    fleet.settle(session.admin, bert, carl)
    for viewer, others in ((carl, (session.admin, bert)), (bert, (session.admin, carl))):
        for _, frames in viewer.recorded:
            for other in others:
                assert not any(other.routing_id in frame or other.routing_id.hex().encode() in frame
                               for frame in frames), f"{other.name}'s routing id was sent to {viewer.name}"
    assert bert.routing_id.hex() not in session.server.log()


def test_storm_of_logins(make_session, fleet):
    """A hundred at once, each with a name of its own; then all of them gone."""
    session = make_session(reconnect_grace="1s")
    bert = session.join("bert")
    crowd = [session.connect(f"user {i}", heartbeat=False) for i in range(100)]
    # On a busy machine some give up waiting for their answer.
    fleet.wait_until(lambda: all(c.answers or c.state == "left" for c in crowd), timeout=120)
    let_in = [c for c in crowd if c.answers == ["RUNNING"]]
    assert len(let_in) <= 64, "more than max_users are in"
    bert.edit(session.uuids[1], lambda d: d["props"].update(bert="there"))
    fleet.settle(session.admin, bert)
    for client in crowd:
        client.close()
    fleet.clients = [c for c in fleet.clients if c not in crowd]
    fleet.wait_until(lambda: set(bert.users) == {"anna", "bert"}, timeout=120)
    unmoved(session, fleet, session.admin, bert)


def test_guessing_one_password_over_and_over(session, fleet):
    bert = session.join("bert")
    for i in range(100):
        client = fleet.client(session.server.address, "guess", admin_password=f"{ADMIN_PASSWORD}{i}", heartbeat=False,
                              timeout=1.0).connect()
        if i % 20 == 0:
            client.wait_until(lambda: client.answers or client.state == "left")
        client.close()
        fleet.clients.remove(client)
    unmoved(session, fleet, session.admin, bert)
    assert "guess" not in bert.users


def test_neighbour_gets_the_address_banned(make_session, make_proxy, fleet):
    """A school behind one address: who is in the session comes back over a new connection, and nobody else comes in."""
    session = make_session(server_password="secret", timeout="10s")
    line = make_proxy(session.server, source="127.0.5.1")
    bert = session.join_over(line, "bert", password="secret")
    fleet.settle(session.admin, bert)
    eve = [fleet.client(line.address, f"eve {i}", password="guess", heartbeat=False).connect() for i in range(20)]
    session.server.wait_log("Banned 127.0.5.1", fleet=fleet)
    line.cut()
    bert.edit(session.uuids[1], lambda d: d.update(name="after"))
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].data["name"] == "after", what="bert to be back")
    late = fleet.client(line.address, "late", password="secret", heartbeat=False).connect()
    fleet.wait_until(lambda: late.state == "left", what="the login to fail")
    assert not late.answers and not any("RUNNING" in e.answers for e in eve)
    unmoved(session, fleet, session.admin, bert)


def test_many_idle_connections(session, fleet):
    """They cost the server a descriptor each and nobody else anything; a login still works."""
    bert = session.join("bert")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 900
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    idle = []
    try:
        for i in range(count):
            idle.append(socket.create_connection(("127.0.0.1", session.server.ports[i % 3])))
        unmoved(session, fleet, session.admin, bert)
        carl = session.join("carl")
        unmoved(session, fleet, session.admin, bert, carl)
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    unmoved(session, fleet, session.admin, bert)


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections(make_session, fleet, many_descriptors):
    """From a hundred addresses, and more than there is room for: those too many are parted with, and whoever is in the
    session notices nothing."""
    session = make_session()
    bert, carl = session.join("bert", "carl")
    before = session.server.memory()
    idle = []
    try:
        for i in range(10_000):
            s = socket.socket()
            idle.append(s)
            s.setblocking(False)
            s.bind((f"127.1.{i % 100}.1", 0))
            s.connect_ex(("127.0.0.1", session.server.ports[i % 3]))
            if i % 100 == 0:
                fleet.pump()
        unmoved(session, fleet, session.admin, bert, carl)
        assert session.server.logged("has too many connections open")
        # libzmq accepts them in a thread of its own, and is told to part with them after that.
        fleet.wait_until(lambda: session.server.descriptors() < 4096 + 200, what="those too many to be gone")
        assert session.server.memory() < before + session.server.allowance(200_000_000)
    finally:
        for s in idle:
            s.close()
    session.join("dora")
    unmoved(session, fleet, session.admin, bert, carl)


def test_connecting_and_leaving_in_a_loop(session, fleet):
    bert = session.join("bert")
    before = session.server.descriptors()
    for i in range(1500):
        s = socket.create_connection(("127.0.0.1", session.server.ports[i % 3]))
        s.close()
    unmoved(session, fleet, session.admin, bert)
    fleet.wait_until(lambda: session.server.descriptors() <= before + 10, timeout=30)


def test_message_above_the_limit(make_session, fleet, rng):
    """Its sender is parted with before the server has held it."""
    session = make_session(max_message_size="1M")
    bert, eve = session.join("bert", "eve")
    before = session.server.memory()
    big = new_uuid(rng)
    eve.send(DATA, wire.node_frames(big, COMMON, [], mesh("big", rng, 2_000_000)))
    fleet.wait_until(lambda: not eve.unsent)
    unmoved(session, fleet, session.admin, bert)
    assert big not in bert.nodes
    assert session.server.memory() < before + session.server.allowance(16_000_000)


def test_dependencies_beyond_a_record(session, fleet, rng):
    """What cannot be journalled must not end the server."""
    bert, eve = session.join("bert", "eve")
    greedy = [new_uuid(rng) for _ in range(3)]
    lists = [f"{i:0100}" for i in range(200_000)], ["x" * 1000], ["a" * 100] * 300_000
    for uuid, dependencies in zip(greedy, lists):
        eve.send(DATA, wire.node_frames(uuid, COMMON, dependencies, item("greedy", rng)))
        eve.send(DATA, wire.commit_frames(session.uuids[1], dependencies, wire.dump({})))
    fleet.wait_until(lambda: not eve.unsent)
    unmoved(session, fleet, session.admin, bert)
    assert not set(greedy) & set(bert.nodes)


def test_dependencies_in_all(make_session, fleet, rng):
    """Every Delete looks through them, be it somebody else's: more than 64 MiB are not taken."""
    session = make_session(count=4, max_client_backlog=256 << 20)
    bert, eve = session.join("bert", "eve")
    names = [f"{i:0100}" for i in range(100_000)]
    greedy = [new_uuid(rng) for _ in range(8)]
    for uuid in greedy:
        eve.push(uuid, item("greedy", rng), names)
    fleet.wait_until(lambda: greedy[-1] not in eve.nodes, what="the last one to be refused")
    fleet.settle(session.admin, bert, eve)
    assert [u for u in greedy if u in bert.nodes] == greedy[:7]
    eve.edit(session.uuids[1], lambda d: d.update(name="with too many"), names)
    fleet.wait_until(lambda: len(eve.nodes[session.uuids[1]].dependencies) < 10, what="the change to be taken back")
    eve.edit(greedy[0], lambda d: d.update(name="with fewer"), names[:10])
    fleet.wait_until(lambda: len(bert.nodes[greedy[0]].dependencies) == 10)
    eve.delete(greedy[1])
    unmoved(session, fleet, session.admin, bert, eve)


def test_right_that_repeats_itself(session, fleet):
    """Sixty thousand times the same two nodes: one answer, one record, one message to the others. More are no Right."""
    bert, eve = session.join("bert", "eve")
    bert.lock(session.uuids[0])
    fleet.settle(session.admin, bert, eve)
    before, seen = session.server.memory(), eve.counts[Kind.RIGHT]
    eve.right([session.uuids[0]] * 60_000, "eve")
    fleet.wait_until(lambda: eve.counts[Kind.RIGHT] > seen)
    eve.right([session.uuids[2]] * 60_000 + [session.uuids[0]], "eve")
    fleet.wait_until(lambda: bert.nodes[session.uuids[2]].owner == "eve")
    fleet.settle(session.admin, bert, eve)
    assert eve.nodes[session.uuids[0]].owner == "bert"
    assert eve.counts[Kind.RIGHT] <= seen + 3
    eve.right([session.uuids[3]] * 500_000, "eve")
    fleet.settle(session.admin, bert, eve)
    assert bert.nodes[session.uuids[3]].owner == COMMON
    assert session.server.memory() < before + session.server.allowance(100_000_000)
    unmoved(session, fleet, session.admin, bert)


def test_commands_padded_with_junk(session, fleet, rng):
    """What is passed on as it came is no larger than what it says."""
    bert, eve = session.join("bert", "eve")
    junk = b"\x80\x04B" + (10_000_000).to_bytes(4, "little") + bytes(10_000_000) + b"0"
    for kind, data in ((Kind.DELETE, session.uuids[3]), (Kind.RIGHT, {"uuid": [session.uuids[3]], "owner": "eve"}),
                       (Kind.UPDATE_USER_METADATA, {"color": "red"})):
        eve.send(COMMAND, [wire.dump(int(kind)), b"eve", junk + wire.dump(data)[2:]])
    fleet.wait_until(lambda: not eve.unsent)
    unmoved(session, fleet, session.admin, bert)
    for user in (session.admin, bert):
        assert user.nodes[session.uuids[3]].owner == COMMON
        assert "color" not in user.users["eve"]["metadata"]


def test_metadata_nested_as_deep_as_allowed(make_session, fleet):
    """What has been accepted can be read again, for the user table and by the next process."""
    session = make_session(pickle_max_depth=200)
    bert, eve = session.join("bert", "eve")
    for depth in (199, 203, 230, *range(245, 256), 500):
        nested = b"\x80\x04}\x8c\x06nested" + b"]" * depth + b"a" * (depth - 1) + b"s."
        eve.send(COMMAND, [wire.dump(int(Kind.UPDATE_USER_METADATA)), b"eve", nested])
        eve.metadata(color=str(depth))
    fleet.wait_until(lambda: bert.users["eve"]["metadata"].get("color") == "500")
    carl = session.join("carl")
    session.server.restart()
    unmoved(session, fleet, session.admin, bert, carl)


def test_asking_for_a_large_node_without_end(session, fleet, rng):
    """Each answer is as large as the node; the one who asks does not read."""
    bert = session.join("bert")
    large = new_uuid(rng)
    bert.push(large, mesh("large", rng, 300_000))
    fleet.settle(session.admin, bert)
    size = len(wire.dump(bert.nodes[large].data))
    eve = session.connect("eve")
    fleet.wait_until(lambda: eve.answers)
    eve.paused = True
    before, peak = session.server.memory(), 0
    for _ in range(400):
        eve.command(Kind.SNAPSHOT, {"STATE": "GET", "ID": large})

    def refused():
        nonlocal peak
        peak = max(peak, session.server.memory())
        return session.server.logged("eve has left: your connection is too slow")
    fleet.wait_until(refused)
    print(f"{400 * size >> 20} MB asked for, {(peak - before) >> 20} MB held at most")
    # The backlog and a turn's answers, and as much again for what the heap has not given back between them.
    assert peak < before + session.server.allowance(2 * (80 << 20)) + 10 * size
    unmoved(session, fleet, session.admin, bert)


def test_more_nodes_than_allowed(make_session, fleet, rng):
    session = make_session(count=4, max_nodes=20)
    bert, eve = session.join("bert", "eve")
    for i in range(40):
        eve.send(DATA, wire.node_frames(new_uuid(rng), COMMON, [], item(f"of eve {i}", rng)))
    bert.edit(session.uuids[1], lambda d: d.update(name="still working"))
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].data["name"] == "still working")
    assert len(bert.nodes) <= 20
    fleet.check_clean(session.admin, bert)


@pytest.mark.parametrize("name", ["../../etc", "a\nb", "\x1b[31mred", "a\0b", "a" * 64, "❄" * 21, "%s%n", "' OR 1=1"])
def test_odd_names(make_session, fleet, name):
    """Either refused or served; never a second line in the log, a colour on the terminal or a path on the disk."""
    session = make_session(reconnect_grace="1s")
    bert = session.join("bert")
    odd = session.connect(name)
    odd.wait_until(lambda: odd.answers)
    if "FAILED" not in odd.answers[0]:
        odd.wait_state("active")
        odd.metadata(color=name)
        odd.lock(session.uuids[0])
        fleet.settle(session.admin, bert, odd)
        odd.disconnect()
        fleet.wait_until(lambda: name not in bert.users)
    unmoved(session, fleet, session.admin, bert)
    log = session.server.log()
    assert "\x1b[31m" not in log and "\0" not in log and "\nb" not in log


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
