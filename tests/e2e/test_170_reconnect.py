#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that break and servers that are restarted, without anybody noticing.

The test of restarts in a row does ten; E2E_RESTARTS=100 tests/e2e/test_170_reconnect.py does a hundred.
"""

import os
import signal
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from load import Load
from server import ADMIN_PASSWORD
from values import item, new_uuid
from wire import COMMON, Kind, Status

RESTARTS = int(os.environ.get("E2E_RESTARTS", "10"))
RATE = 20  # updates a second of each user


def work(fleet, load, seconds, also=lambda: True):
    """Every user makes RATE edits a second for that long, and on while `also` is not true."""
    start = time.monotonic()
    done = 0
    while time.monotonic() - start < seconds or not also():
        due = int((time.monotonic() - start) * RATE)
        while done < due:
            for user in load.users:
                if user.state == "active":
                    load.edit(user, load.rng.choice(load.own[user] + load.shared))
            done += 1
        fleet.pump(5)


def edit_all_once_more(load):
    """What was on its way into a connection that broke is lost to any server; a later edit of the same place heals it."""
    for user in load.users:
        for node_uuid in load.own[user] + load.shared:
            load.edit(user, node_uuid)


def with_own_nodes(fleet, session, users, rng):
    load = Load(fleet, users, rng, shared=session.uuids[1::2])
    for user in users:
        for _ in range(3):
            load.add(user)
    fleet.settle(*users)
    return load


def test_cut_and_back(session, fleet, make_proxy, rng):
    proxy = make_proxy(session.server)
    bert, carl = session.join_over(proxy, "bert"), session.join("carl")
    users = [session.admin, bert, carl]
    load = with_own_nodes(fleet, session, users, rng)
    for _ in range(8):
        work(fleet, load, rng.uniform(0.1, 0.5))
        proxy.cut()
    work(fleet, load, 0.5)
    assert all(u.state == "active" for u in users), fleet.describe()
    edit_all_once_more(load)
    session.check_same()
    assert bert.heartbeat.is_alive()
    assert set(carl.users) >= {"anna", "bert", "carl"}


def test_viewer_who_is_cut_off_for_a_moment(session, fleet, make_proxy):
    """Somebody who only ever listens does not announce that the data channel is back."""
    proxy = make_proxy(session.server)
    viewer = session.join_over(proxy, "viewer")
    for number in range(4):
        session.admin.edit(session.uuids[1], lambda d: d.update(name=f"before {number}"))
        proxy.cut()
        session.admin.edit(session.uuids[1], lambda d: d.update(name=f"after {number}"))
        fleet.wait_until(lambda: viewer.nodes[session.uuids[1]].data["name"] == f"after {number}")
    session.check_same()


def test_deletes_and_rights_while_away(make_session, fleet, make_proxy):
    session = make_session(reconnect_grace="30s", timeout="30s")
    proxy = make_proxy(session.server)
    bert, carl = session.join_over(proxy, "bert"), session.join("carl")
    proxy.refuse()
    carl.delete(session.uuids[0])
    carl.lock(session.uuids[2])
    carl.edit(session.uuids[1], lambda d: d.update(name="meanwhile"))
    fresh = new_uuid()
    carl.push(fresh, item("meanwhile"))
    fleet.settle(session.admin, carl)
    assert session.uuids[0] in bert.nodes
    proxy.allow()
    fleet.wait_until(lambda: session.uuids[0] not in bert.nodes and bert.nodes[session.uuids[2]].owner == "carl"
                     and fresh in bert.nodes and bert.nodes[session.uuids[1]].data["name"] == "meanwhile",
                     what="bert to be brought up to date")
    session.check_same()


def test_away_longer_than_the_grace_time(make_session, fleet, make_proxy):
    session = make_session(timeout="2s", reconnect_grace="1s")
    proxy = make_proxy(session.server)
    bert, carl = session.join_over(proxy, "bert", timeout=4.0), session.join("carl")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: carl.nodes[session.uuids[0]].owner == "bert")
    proxy.refuse()
    fleet.wait_until(lambda: "bert" not in carl.users)
    assert carl.nodes[session.uuids[0]].owner == COMMON
    proxy.allow()
    # It does not know yet: what it sends counts for nothing, and being left alone it goes.
    bert.edit(session.uuids[1], lambda d: d.update(name="too late"))
    bert.wait_state("left")
    assert carl.nodes[session.uuids[1]].data["name"] != "too late"
    session.users.remove(bert)
    again = session.join("bert")
    session.check_same(session.admin, carl, again)


def test_distant_user(session, fleet, make_proxy, rng):
    """150 ms each way."""
    proxy = make_proxy(session.server, delay=0.15)
    bert = session.join_over(proxy, "bert")
    load = with_own_nodes(fleet, session, [session.admin, bert], rng)
    work(fleet, load, 1.5)
    session.check_same()
    assert session.admin.users["bert"]["latency"] >= 100, "the latency of the distant user was not measured"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_restart(session, fleet, rng, number):
    users = [session.admin, *session.join("bert", "carl")]
    bert = users[1]
    bert.lock(session.uuids[0])
    bert.metadata(color="blue")
    fleet.wait_until(lambda: all(u.nodes[session.uuids[0]].owner == "bert" for u in users))
    fleet.settle(*users)
    inits = {u: u.heartbeat.pings for u in users}
    session.server.restart(number)
    fleet.wait_until(lambda: all(u.heartbeat.pings > inits[u] for u in users), timeout=5, what="PINGs without an INIT")
    bert.edit(session.uuids[1], lambda d: d.update(name="after"))
    fleet.wait_until(lambda: all(u.nodes[session.uuids[1]].data["name"] == "after" for u in users))
    assert all(u.state == "active" for u in users)
    assert all(u.nodes[session.uuids[0]].owner == "bert" for u in users), "the lock did not outlive the restart"
    session.check_same()
    fleet.wait_until(lambda: all(set(u.users) == {"anna", "bert", "carl"} for u in users))
    assert users[2].users["bert"]["metadata"]["color"] == "blue"
    assert all(x["status"] == Status.ACTIVE for x in users[2].users.values())
    assert users[2].users["anna"]["admin"] is True and users[2].users["bert"]["admin"] is False


@pytest.mark.parametrize("is_first", [True, False])
def test_stop_amid_a_large_node(make_session, make_proxy, fleet, rng, is_first):
    """Its sender would not send it again, so a server that is told to stop takes the rest of it, and keeps everybody."""
    session = make_session(timeout="3s")
    line = make_proxy(session.server, bandwidth=2_000_000)
    eve = session.join_over(line, "eve")
    if not is_first:
        eve.push(new_uuid(rng), item("small", rng))
        fleet.settle(session.admin, eve)
    large = new_uuid(rng)
    eve.push(large, {"data": rng.randbytes(10_000_000)})
    before = line.to_server
    fleet.wait_until(lambda: line.to_server > before + 1_000_000, what="some of it to arrive")
    session.restart(signal.SIGTERM)
    fleet.wait_until(lambda: large in session.admin.nodes, timeout=10, what="the node to arrive")
    session.check_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_crashed_while_the_server_was_down(make_session, fleet, number):
    """Of its connections only the heartbeat comes back: a user who is not there, whose locks and name are free again."""
    session = make_session(timeout="3s", reconnect_grace="1s")
    bert = session.join("bert")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[0]].owner == "bert")
    session.server.end(number)
    bert.crash()
    session.server.start()
    fleet.wait_until(lambda: session.server.logged("bert is back"), what="the ghost to answer")
    fleet.wait_until(lambda: "bert" not in session.admin.users, timeout=15, what="the ghost to be taken for gone")
    assert session.admin.nodes[session.uuids[0]].owner == COMMON
    session.users.remove(bert)
    session.join("bert")
    session.check_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_new_blender_is_first_after_a_restart(make_session, fleet, number):
    """Its login is there before anybody can know whether the one before comes back: it waits, and is not refused."""
    session = make_session(timeout="30s", reconnect_grace="30s")
    bert = session.join("bert")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[0]].owner == "bert")
    session.server.end(number)
    bert.disconnect()
    session.users.remove(bert)
    again = session.connect("bert")
    session.server.start()
    again.wait_state("active")
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[0]].owner == COMMON)
    assert again.answers == ["RUNNING"]
    session.check_same(session.admin, again)


def test_down_for_three_seconds(make_session, fleet, rng):
    """Within the patience of the clients, who wait six."""
    session = make_session()
    users = [session.admin, *session.join("bert", "carl")]
    load = with_own_nodes(fleet, session, users, rng)
    session.server.kill()
    # They go on working; what they send now is queued by their own sockets.
    work(fleet, load, 3.0)
    session.server.start()
    work(fleet, load, 1.0)
    assert all(u.state == "active" for u in users), fleet.describe()
    edit_all_once_more(load)
    session.check_same()


def test_admin_is_still_admin_after_a_restart(session, fleet):
    bert, carl = session.join("bert", "carl")
    session.server.restart(signal.SIGKILL)
    bert.kick("carl")
    fleet.settle(session.admin, bert, carl)
    assert carl.state == "active"
    session.admin.kick("carl")
    carl.wait_state("left")
    assert carl.reason == {"reason": "kicked by admin"}


def test_user_who_does_not_come_back(make_session, fleet):
    session = make_session(timeout="3s", reconnect_grace="2s")
    bert, carl = session.join("bert", "carl")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: carl.nodes[session.uuids[0]].owner == "bert")
    session.server.kill()
    bert.disconnect()
    session.server.start()
    fleet.wait_until(lambda: set(carl.users) == {"anna", "carl"})
    fleet.wait_until(lambda: carl.nodes[session.uuids[0]].owner == COMMON)
    session.users.remove(bert)
    session.join("bert")
    session.check_same()


def test_login_while_the_server_is_away(session, fleet):
    session.server.kill()
    bert = session.connect("bert", timeout=30.0)
    fleet.pump(50)
    session.server.start()
    bert.wait_state("active")
    session.users.append(bert)
    session.check_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_during_a_join(make_session, fleet, rng, number):
    """The joiner carries on, or is told cleanly; it may not be left hanging."""
    session = make_session(count=60, join_ahead="0")
    joiner = session.connect("joiner", timeout=5.0, fetches=rng.randrange(1, 60))
    fleet.wait_until(lambda: joiner.stopped)
    session.server.restart(number)
    joiner.fetch_on()
    fleet.wait_until(lambda: joiner.state in ("active", "left"), what="the joiner to be served or told")
    fleet.check_clean(session.admin)
    if joiner.state == "active":
        session.users.append(joiner)
    else:
        assert joiner.reason != "Server lost", "the joiner was told nothing"
        fleet.wait_until(lambda: "joiner" not in session.admin.users)
        session.join("joiner again")
    session.check_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_during_an_init(make_server, fleet, rng, number):
    server = make_server(timeout="3s", reconnect_grace="2s")
    anna = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    nodes = [(new_uuid(rng), [], item(f"object {i}", rng)) for i in range(20)]
    anna.init(nodes, sending=False)
    fleet.wait_until(lambda: anna.dialogue == ["ACCEPTED"])
    server.restart(number)
    anna._send_init()
    fleet.wait_until(lambda: anna.state != "initialising", what="the initiator to be served or told")
    if anna.state != "active":
        assert anna.reason != "Server lost", "the initiator was told nothing"
        anna.close()
        anna = fleet.client(server.address, "dora", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
        anna.init(nodes)
        anna.wait_state("active")
    fleet.check_same(server.address, anna)


def test_restarts_in_a_row(make_session, fleet, rng):
    """Eight users at 20 updates a second each; alternately asked to leave and killed."""
    session = make_session(count=12)
    users = [session.admin, *session.join(*(f"user {i}" for i in range(7)))]
    load = with_own_nodes(fleet, session, users, rng)
    for user in users:
        user.longest_silence = 0.0
        user.heartbeat.longest_gap = 0.0
    for turn in range(RESTARTS):
        work(fleet, load, rng.uniform(0.3, 0.9))
        number = signal.SIGKILL if turn % 2 else signal.SIGTERM
        session.server.send_signal(number)
        work(fleet, load, 0.0, also=lambda: not session.server.running)
        assert number == signal.SIGKILL or session.server.process.returncode == 0
        session.server.start(wait=False)
        seen = {u: u.counts[Kind.COMMIT] for u in users}
        work(fleet, load, 0.0, also=lambda: all(u.counts[Kind.COMMIT] > seen[u] or u.state != "active" for u in users))
        gone = [u.describe() for u in users if u.state != "active"]
        assert not gone, f"after restart {turn + 1}: {gone}"
        assert session.server.running, session.server.tail()
    work(fleet, load, 1.0)
    edit_all_once_more(load)
    session.check_same()
    newcomer = session.join("newcomer")
    missing = load.missing_from(newcomer.nodes)
    assert not missing, f"{len(missing)} lost: {missing[:10]}"
    print(f"{RESTARTS} restarts, {load.edits} edits by {len(users)} users, none dropped; "
          f"longest silence of a connection {max(u.longest_silence for u in users):.2f} s, "
          f"longest time between PINGs {max(u.heartbeat.longest_gap for u in users):.2f} s")


def test_back_over_a_line_with_a_long_queue(session, make_proxy, fleet):
    """A handshake takes several round trips: here more than five seconds, and less than the grace."""
    proxy = make_proxy(session.server)
    host, ports = proxy.address
    bert = fleet.client((host, [*ports[:2], session.server.ports[2]]), "bert").connect()
    bert.wait_state("active")
    session.users.append(bert)
    session.announced()
    mark = session.server.mark()
    proxy.delay = 1.4
    proxy.cut()
    session.admin.edit(session.uuids[0], lambda d: d.update(name="while it was away"))
    fleet.wait_until(lambda: bert.nodes[session.uuids[0]].data["name"] == "while it was away" or bert.state == "left", 60)
    assert bert.state == "active" and not session.server.logged("bert has left", mark)
    session.check_same(timeout=60)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
