#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there: quitting, crashing, hanging, and names that become free again."""

import signal
import sys
import time

import tap  # first: it says which packages are missing
import ctl
import pytest

from wire import COMMON, Kind

QUICK = {"timeout": "2s", "reconnect_grace": "1s"}


@pytest.fixture
def quick(make_session):
    """A server with short patience."""
    return make_session(**QUICK)


def gone(session, name, *viewers):
    session.fleet.wait_until(lambda: all(name not in v.users for v in viewers), what=f"{name} to be gone")


def test_quitting(quick, fleet):
    bert, carl = quick.join("bert", "carl")
    bert.disconnect()
    gone(quick, "bert", quick.admin, carl)
    quick.server.wait_log(r"Session saved to disk \(reason: user_disconnect:bert\)", fleet=fleet)
    quick.users.remove(bert)
    quick.join("bert")
    quick.check_same()


def test_crashed_client_whose_heartbeat_goes_on(quick, fleet):
    """Its ttl process answers as long as it is asked: presence must follow the command connection."""
    bert, carl = quick.join("bert", "carl")
    bert.lock(quick.uuids[0])
    fleet.wait_until(lambda: carl.nodes[quick.uuids[0]].owner == "bert")
    bert.crash()
    assert bert.heartbeat.is_alive()
    gone(quick, "bert", quick.admin, carl)
    fleet.wait_until(lambda: carl.nodes[quick.uuids[0]].owner == COMMON)
    quick.users.remove(bert)
    again = quick.connect("bert")
    again.wait_state("active")
    assert bert.heartbeat.is_alive(), "the ghost was still answering"
    quick.check_same(quick.admin, carl, again)


def test_ghost_is_no_longer_pinged(quick, fleet):
    """Else it would stay on that machine for ever; without PINGs it ends by itself."""
    bert = quick.join("bert", timeout=2.0)
    bert.crash()
    gone(quick, "bert", quick.admin)
    fleet.wait_until(lambda: not bert.heartbeat.is_alive(), what="the ghost's heartbeat to end")


def test_server_that_has_not_run_for_a_while(session, fleet):
    """A suspended machine, an overloaded host: nobody is taken for gone, least of all who has answered meanwhile."""
    bert = session.join("bert")
    mark = session.server.mark()
    for _ in range(2):
        session.server.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            bert.edit(session.uuids[1], lambda d: d.update(name=f"at {time.monotonic()}"))
            fleet.pump(50)
        session.server.send_signal(signal.SIGCONT)
        fleet.settle(session.admin, bert)
        pings = bert.heartbeat.pings
        fleet.wait_until(lambda: bert.heartbeat.pings > pings + 1, what="heartbeats to go on")
    assert "has left" not in session.server.log_since(mark)
    session.check_same()


def test_viewers_who_never_say_anything(quick, fleet):
    """Of connections that were only ever listened to, the server cannot tell which one has ended."""
    viewers = quick.join("bert", "carl", "dora", "emil")
    quick.admin.edit(quick.uuids[1], lambda d: d.update(name="seen by all"))
    fleet.wait_until(lambda: all(v.nodes[quick.uuids[1]].data["name"] == "seen by all" for v in viewers))
    for leaving in viewers[:3]:
        leaving.disconnect()
        gone(quick, leaving.name, quick.admin)
        quick.admin.edit(quick.uuids[1], lambda d: d.update(name=f"after {leaving.name}"))
        fleet.wait_until(lambda: all(v.nodes[quick.uuids[1]].data["name"] == f"after {leaving.name}"
                                     for v in viewers if v.state == "active"), what="the viewers who stay to see it")
    quick.check_same(quick.admin, viewers[3])


def test_crashed_in_the_lobby(make_server, fleet):
    server = make_server(**QUICK)
    anna = fleet.client(server.address, "anna").connect().wait_state("lobby")
    bert = fleet.client(server.address, "bert").connect().wait_state("lobby")
    fleet.wait_until(lambda: set(anna.users) == {"anna", "bert"})
    bert.crash()
    fleet.wait_until(lambda: set(anna.users) == {"anna"})
    fleet.client(server.address, "bert").connect().wait_state("lobby")


def test_name_is_kept_during_the_grace_time(make_session, fleet):
    session = make_session(timeout="30s", reconnect_grace="30s")
    bert = session.join("bert")
    bert.crash()
    thief = session.connect("bert", source="127.0.0.2")
    thief.wait_state("left")
    assert "already" in thief.answers[0]
    assert "bert" in session.admin.users


def test_restarted_blender_gets_its_name_back_at_once(make_session, fleet):
    """From the same machine nobody has to sit the grace time out."""
    session = make_session(timeout="30s", reconnect_grace="30s")
    bert = session.join("bert")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[0]].owner == "bert")
    bert.crash()
    session.users.remove(bert)
    # The end of one connection may be heard of after the beginning of another.
    folder = "--data-dir", session.server.data_dir
    fleet.wait_until(lambda: ctl.good("status", "--json", *folder).json["away_count"] == 1, what="the loss to be noticed")
    again = session.join("bert")
    fleet.wait_until(lambda: session.admin.nodes[session.uuids[0]].owner == COMMON)
    session.check_same(session.admin, again)


def test_hanging_client_is_dropped(quick, fleet):
    """Connections open, heartbeat silent: the machine sleeps or the cable is out."""
    bert, carl = quick.join("bert", "carl")
    bert.heartbeat.mute()
    start = time.monotonic()
    gone(quick, "bert", quick.admin, carl)
    assert time.monotonic() - start > 1.0, "dropped before the timeout"
    quick.check_same(quick.admin, carl)


def test_hang_shorter_than_the_timeout_is_forgiven(make_session, fleet):
    session = make_session(timeout="6s", reconnect_grace="1s")
    bert, carl = session.join("bert", "carl")
    bert.heartbeat.mute()
    seen = carl.heartbeat.pings
    fleet.wait_until(lambda: carl.heartbeat.pings >= seen + 3)
    bert.heartbeat.unmute()
    seen = carl.heartbeat.pings
    fleet.wait_until(lambda: carl.heartbeat.pings >= seen + 5)
    assert "bert" in carl.users
    session.check_same()


@pytest.mark.reference
def test_pings_come_every_second(session, fleet):
    bert = session.join("bert")
    start, first = time.monotonic(), bert.heartbeat.pings
    fleet.wait_until(lambda: bert.heartbeat.pings >= first + 4)
    assert 2.0 < time.monotonic() - start < 12.0
    assert bert.heartbeat.longest_gap < 5.0


def test_heartbeat_that_comes_late(quick, fleet):
    """The ttl process of a client starts a moment after its login; a slow machine may take more than a second."""
    from heartbeat import Heartbeat
    bert = quick.connect("bert", heartbeat=False)
    bert.wait_state("active")
    seen = quick.admin.heartbeat.pings
    fleet.wait_until(lambda: quick.admin.heartbeat.pings >= seen + 1)
    bert.heartbeat = Heartbeat(fleet.context, bert._endpoint(2), bert.routing_id, 5.0)
    bert.heartbeat.start()
    seen = quick.admin.heartbeat.pings
    fleet.wait_until(lambda: quick.admin.heartbeat.pings >= seen + 5)
    assert "bert" in quick.admin.users
    quick.users.append(bert)
    quick.check_same()


def test_everybody_leaves_and_comes_back(quick, fleet):
    before = quick.admin.scene()
    bert = quick.join("bert")
    bert.edit(quick.uuids[1], lambda d: d.update(name="last words"))
    fleet.settle(quick.admin, bert)
    before = bert.scene()
    bert.disconnect()
    quick.admin.disconnect()
    for name in ("bert", "anna"):
        quick.server.wait_log(rf"Session saved to disk \(reason: user_disconnect:{name}\)", fleet=fleet)
    carl = quick.connect("carl").wait_state("active")
    assert carl.answers == ["RUNNING"]
    assert carl.scene() == before
    assert set(carl.users) == {"carl"}


def test_many_come_and_go(quick, fleet, rng):
    base = quick.server.descriptors()
    watcher = quick.join("watcher")
    for turn in range(5):
        crowd = quick.join(*(f"user {turn} {i}" for i in range(6)))
        for user in crowd:
            user.lock(rng.choice(quick.uuids))
            user.metadata(frame_current=turn)
        fleet.settle(watcher, *crowd)
        for user in crowd:
            getattr(user, rng.choice(["disconnect", "crash"]))()
            quick.users.remove(user)
        fleet.wait_until(lambda: set(watcher.users) == {"anna", "watcher"})
        for user in crowd:
            user.close()
    fleet.wait_until(lambda: all(n.owner == COMMON for n in watcher.nodes.values()))
    quick.check_same()
    fleet.wait_until(lambda: quick.server.descriptors() <= base + 12, timeout=20,
                     what=f"connections to be let go of (now {quick.server.descriptors()}, {base} at first)")


def test_no_messages_to_those_who_are_gone(quick, fleet):
    """A new client may not inherit what was queued for another one."""
    bert = quick.join("bert")
    bert.crash()
    for i in range(20):
        quick.admin.edit(quick.uuids[1], lambda d: d.update(name=f"name {i}"))
    gone(quick, "bert", quick.admin)
    quick.users.remove(bert)
    carl = quick.join("carl")
    quick.check_same(quick.admin, carl)
    assert carl.counts[Kind.COMMIT] == 0


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
