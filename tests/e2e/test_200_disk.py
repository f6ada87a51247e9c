#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk hangs, is full, or can only be read: users stay, and everything is there when it is well again."""

import os
import shutil
import sys
import time

import tap  # first: it says which packages are missing
import pytest

import ctl
import wire
from client import DATA
from values import mesh, new_uuid
from wire import COMMON

DISK = os.path.join(os.environ.get("top_builddir", "."), "tests", "e2e", "sick-disk.so")

# Longer than the time-out of a client, which would show if heartbeats waited for the disk.
HANG = 6.0


class Disk:
    """How the disk of one server is."""

    def __init__(self, folder):
        self.path = str(folder / "disk")
        self.environment = {"LD_PRELOAD": os.path.abspath(DISK), "SICK_DISK": self.path}

    def becomes(self, how):
        with open(self.path + ".new", "w", encoding="ascii") as stream:
            stream.write(how)
        os.rename(self.path + ".new", self.path)

    def recovers(self):
        os.unlink(self.path)


@pytest.fixture
def disk(tmp_path):
    assert os.path.exists(DISK), f"{DISK} is missing, with which a disk is made to fail: make it, or set top_builddir"
    disk = Disk(tmp_path)
    yield disk
    if os.path.exists(disk.path):
        disk.recovers()  # a server that is being ended need not wait for it


def status(session):
    return ctl.run("--data-dir", session.server.data_dir, "status", "--json").json


def kill_and_look(session, expected):
    """Ends the server as a crash would, with nobody left who could heal it, and looks at what comes back."""
    for user in session.users:
        user.disconnect()
    session.server.restart(9)
    newcomer = session.connect("newcomer").wait_state("active")
    for node_uuid, value in expected.items():
        assert newcomer.nodes[node_uuid].data["edited"] == value
    session.fleet.check_clean(newcomer)


def edit(user, node_uuid, value):
    user.edit(node_uuid, lambda data: data.update(edited=value))


def go_on(fleet, seconds):
    end = time.monotonic() + seconds
    fleet.wait_until(lambda: time.monotonic() > end, seconds + 30)


def edit_for(session, anna, bert, seconds, turns):
    """Edits one after the other, each seen by the other user. Returns the number of the last."""
    fleet = session.fleet
    end, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        turns += 1
        begin = time.monotonic()
        edit(anna, session.uuids[0], turns)
        fleet.wait_until(lambda: bert.nodes[session.uuids[0]].data.get("edited") == turns)
        slowest = max(slowest, time.monotonic() - begin)
    print(f"{turns} edits, the slowest took {slowest * 1000:.0f} ms")
    return turns


def test_hanging_disk(make_session, fleet, disk):
    """Relays, heartbeats and joins go on while a save and every sync wait for the disk."""
    session = make_session(environment=disk.environment, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    disk.becomes("hang")
    session.server.send_signal(10)  # SIGUSR1: a save, which cannot end now
    turns = edit_for(session, anna, bert, HANG, 0)
    carl = session.join("carl")
    assert carl.nodes[session.uuids[0]].data["edited"] == turns
    assert not session.server.logged("saved to disk")
    session.server.wait_log("is slow: a sync", fleet=fleet)
    disk.recovers()
    session.server.wait_log("Session saved to disk", fleet=fleet)
    assert all(user.state == "active" for user in (anna, bert, carl))
    session.check_same()
    kill_and_look(session, {session.uuids[0]: turns})


@pytest.mark.parametrize("warned", [True, False], ids=["syncs hang first", "without warning"])
def test_stuck_disk(make_session, fleet, disk, warned):
    """The same when writes wait as well: nobody is kept for longer than it takes to say so."""
    session = make_session(environment=disk.environment, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    turns = 0
    if warned:
        disk.becomes("hang")
        turns = edit_for(session, anna, bert, 2.0, turns)
    disk.becomes("stuck")
    turns = edit_for(session, anna, bert, HANG, turns)
    session.server.wait_log("does not answer: a write", fleet=fleet)
    assert "does not answer" in status(session)["degraded"]
    assert all(user.state == "active" for user in (anna, bert))
    disk.recovers()
    session.server.wait_log("The disk takes updates again", fleet=fleet)
    session.check_same()
    kill_and_look(session, {session.uuids[0]: turns})


def test_busy_disk(make_session, fleet, disk):
    """A disk that takes long for each write is slow, and has not failed: that is said, and nothing else."""
    session = make_session(environment=disk.environment, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    disk.becomes("busy")
    turns = edit_for(session, anna, bert, HANG, 0)
    session.server.wait_log("is slow: a write", fleet=fleet)
    assert not session.server.logged("The disk has caught up")  # though each write has come to an end
    session.server.send_signal(10)  # SIGUSR1: a save
    session.server.wait_log("Session saved to disk", fleet=fleet, timeout=60)
    disk.recovers()
    fleet.wait_until(lambda: not status(session)["degraded"], timeout=60)
    assert session.server.logged("The disk has caught up")
    for words in ("Failed to save", "refuses", "does not answer"):
        assert not session.server.logged(words)
    session.check_same()
    kill_and_look(session, {session.uuids[0]: turns})


def test_stuck_disk_under_always(make_session, fleet, disk):
    """Updates wait, heartbeats do not."""
    session = make_session(environment=disk.environment, timeout="3s", sync="always")
    anna, bert = session.admin, session.join("bert")
    disk.becomes("hang")
    edit(anna, session.uuids[0], "hanging")
    go_on(fleet, 1.5)
    disk.becomes("stuck")
    edit(anna, session.uuids[1], "stuck")
    go_on(fleet, HANG)
    assert all(user.state == "active" for user in (anna, bert))
    assert bert.nodes[session.uuids[0]].data.get("edited") is None
    disk.recovers()
    fleet.wait_until(lambda: bert.nodes[session.uuids[1]].data.get("edited") == "stuck")
    session.check_same()
    kill_and_look(session, {session.uuids[0]: "hanging", session.uuids[1]: "stuck"})


@pytest.mark.parametrize("how, words", [("full", "No space left"), ("read-only", "Read-only")])
def test_disk_that_refuses(make_session, fleet, disk, how, words):
    session = make_session(environment=disk.environment)
    anna, bert = session.admin, session.join("bert")
    disk.becomes(how)
    for i in range(20):
        edit(anna, session.uuids[i % 5], i)
        edit(bert, session.uuids[5 + i % 3], i)
    fleet.settle(anna, bert)
    session.server.wait_log(f"refuses to take .*{words}", fleet=fleet)
    assert words in status(session)["degraded"]
    fleet.check_clean(anna, bert)
    disk.recovers()
    session.server.wait_log("The disk takes updates again", fleet=fleet)
    assert not status(session)["degraded"]
    session.check_same()
    expected = {uuid: user.nodes[uuid].data["edited"] for user, uuids in
                ((anna, session.uuids[:5]), (bert, session.uuids[5:8])) for uuid in uuids}
    kill_and_look(session, expected)


def test_full_disk_under_always(make_session, fleet, disk):
    """Nobody is shown what a power cut could take: it waits, and nobody has to leave."""
    session = make_session(environment=disk.environment, sync="always")
    anna, bert = session.admin, session.join("bert")
    disk.becomes("full")
    edit(anna, session.uuids[0], "while full")
    session.server.wait_log("refuses to take", fleet=fleet)
    assert bert.nodes[session.uuids[0]].data.get("edited") is None
    disk.recovers()
    fleet.wait_until(lambda: bert.nodes[session.uuids[0]].data.get("edited") == "while full")
    session.check_same()
    kill_and_look(session, {session.uuids[0]: "while full"})


def test_who_fills_the_disk_is_slowed_down(make_session, fleet, rng, disk):
    """As fast as the line takes it; the others notice nothing, there is always room for them, and nobody is put out."""
    size, reserve, seconds = 160 << 20, 64 << 20, 15.0
    session = make_session(environment={**disk.environment, "SICK_DISK_SIZE": str(size)}, min_free_space=reserve)
    bert, eve = session.join("bert", "eve")
    sent, number, slowest, begun = 0, 0, 0.0, time.monotonic()
    while time.monotonic() < begun + seconds:
        for _ in range(4 if not eve.unsent else 0):
            frames = wire.node_frames(new_uuid(rng), COMMON, [], mesh("filler", rng, 80_000))
            eve.send(DATA, frames)
            sent += len(frames[4])
        number += 1
        start = time.monotonic()
        bert.edit(session.uuids[1], lambda d: d.update(number=number))
        fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].data.get("number") == number)
        slowest = max(slowest, time.monotonic() - start)
        fleet.pump(20)
    written = sum(e.stat().st_size for e in os.scandir(os.path.join(session.server.data_dir, "log")))
    held = next(u for u in status(session)["users"] if u["name"] == "eve")["held_back_usec"] / 1e6
    print(f"{sent >> 20} MiB sent in {seconds:.0f} s, {written >> 20} of {size >> 20} MiB written, held back for {held:.1f} s; "
          f"slowest of {number} edits of another user meanwhile {slowest * 1000:.0f} ms")
    assert eve.state == "active" and bert.state == "active" and session.admin.state == "active"
    # What the kernel has taken when somebody is held back still comes.
    assert written < size - reserve + (16 << 20), "too little was left for the others"
    assert session.server.logged("eve sends faster than the almost full disk allows and is held back")
    eve.disconnect()
    session.check_same(session.admin, bert, timeout=120)


def test_who_fills_the_reserve_is_let_go(make_session, fleet, rng, disk):
    """Messages so large that slowing them down is not enough."""
    size = 160 << 20
    session = make_session(environment={**disk.environment, "SICK_DISK_SIZE": str(size)}, min_free_space="1G",
                           failed_login_limit=0)
    bert, eve = session.join("bert", "eve")
    eve.send(DATA, wire.node_frames(new_uuid(rng), COMMON, [], mesh("filler", rng, 3_000_000)))
    fleet.wait_until(lambda: eve.state == "left")
    assert type(eve.reason) is dict and "disk is almost full" in eve.reason["reason"], eve.reason
    assert session.server.logged("are free in .*, less than min_free_space")
    bert.edit(session.uuids[1], lambda d: d.update(number=1))
    session.check_same(session.admin, bert)
    assert sum(node.data.get("name") == "filler" for node in bert.nodes.values()) == 1, "what it had sent is kept"


def test_who_initialises_is_not_let_go(make_session, fleet, rng, disk):
    """A scene that takes most of what is left comes in slowly, and stays."""
    nodes = [(new_uuid(rng), [], mesh("large", rng, 20_000)) for _ in range(12)]
    begun = time.monotonic()
    session = make_session(nodes, environment={**disk.environment, "SICK_DISK_SIZE": str(16 << 20)}, min_free_space="1G")
    print(f"3 MB in {time.monotonic() - begun:.1f} s")
    bert = session.join("bert")
    assert len(bert.nodes) == 12
    session.check_same()


def test_an_honest_user_stays_on_a_full_disk(make_session, fleet, rng, disk):
    session = make_session(environment={**disk.environment, "SICK_DISK_SIZE": str(8 << 20)}, min_free_space="64M")
    bert = session.join("bert")
    for number in range(100):
        bert.edit(session.uuids[1], lambda d: d.update(number=number))
    fleet.settle(session.admin, bert)
    session.server.wait_log("less than min_free_space", fleet=fleet)
    assert bert.state == "active"
    session.check_same()


def test_folder_is_removed(make_session, fleet):
    """Somebody deletes the data of a running session: it is noticed at once and written anew from memory."""
    session = make_session(count=200, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    edit(anna, session.uuids[0], "before")
    fleet.settle(anna, bert)
    shutil.rmtree(session.server.data_dir)
    session.server.wait_log("was removed while the session was running", fleet=fleet)
    edit(anna, session.uuids[1], "after")
    session.server.wait_log(r"Session saved to disk \(reason: data folder removed\)", fleet=fleet)
    session.server.wait_log("The disk takes updates again", fleet=fleet)
    assert not status(session)["degraded"]
    edit(bert, session.uuids[2], "saved")
    fleet.settle(anna, bert)
    session.check_same()
    kill_and_look(session, {session.uuids[0]: "before", session.uuids[1]: "after", session.uuids[2]: "saved"})


def test_file_of_the_log_is_removed(make_session, fleet):
    """One segment is deleted: what the session needs of it is written anew at once."""
    session = make_session(count=200, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    edit(anna, session.uuids[0], "before")
    fleet.settle(anna, bert)
    log = os.path.join(session.server.data_dir, "log")
    os.unlink(os.path.join(log, sorted(os.listdir(log))[0]))
    session.server.wait_log(r"\.seg was removed while the session was running", fleet=fleet)
    session.server.wait_log(r"Session saved to disk \(reason: log file removed\)", fleet=fleet)
    edit(anna, session.uuids[1], "after")
    fleet.settle(anna, bert)
    session.check_same()
    assert not status(session)["degraded"]
    kill_and_look(session, {session.uuids[0]: "before", session.uuids[1]: "after"})


def test_snapshot_is_removed(make_session, fleet):
    """The newest one is deleted: it is missed at once, and the session is saved again."""
    session = make_session(count=20, timeout="3s")
    anna, bert = session.admin, session.join("bert")
    edit(anna, session.uuids[0], "before")
    fleet.settle(anna, bert)
    session.server.send_signal(10)  # SIGUSR1: a save
    session.server.wait_log(r"Session saved to disk \(reason: manual\)", fleet=fleet)
    folder = os.path.join(session.server.data_dir, "snapshots")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    session.server.wait_log("Snapshot .* was removed while the session was running", fleet=fleet)
    session.server.wait_log(r"Session saved to disk \(reason: snapshot removed\)", fleet=fleet)
    fleet.wait_until(lambda: any(name.endswith(".snap") for name in os.listdir(folder)))
    kill_and_look(session, {session.uuids[0]: "before"})


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
