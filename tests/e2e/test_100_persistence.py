#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving, and finding everything again."""

import os
import re
import signal
import socket
import stat
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from server import ADMIN_PASSWORD
from values import item, mesh, new_uuid
from wire import COMMON


def saved(server, reason, mark=0, fleet=None):
    return server.wait_log(rf"Session saved to disk \(reason: {reason}\)", mark=mark, fleet=fleet)


def leave(session, *users):
    """These users quit, and their leaving has been saved."""
    mark = session.server.mark()
    for user in users:
        user.disconnect()
        saved(session.server, f"user_disconnect:{user.name}", mark, session.fleet)


@pytest.fixture
def quick(make_session):
    """A server that lets go of those who quit after a second."""
    return make_session(reconnect_grace="1s")


def edit_everything(session, *users):
    """Something of every kind for a restart to keep."""
    first = users[0]
    first.edit(session.uuids[1], lambda d: d.update(name="renamed", props={"ä": [1, (2, 3.5)], 7: None}))
    first.push(new_uuid(), mesh("added", vertices=1000))
    first.delete(session.uuids[2])
    first.edit(session.uuids[3], lambda d: d["history"].append({"deep": [{}]}), dependencies=[session.uuids[0]])
    session.fleet.wait_until(lambda: all(session.uuids[2] not in u.nodes for u in users))
    session.fleet.settle(*users)


def test_saved_when_a_user_leaves(quick, fleet):
    bert = quick.join("bert")
    leave(quick, bert)
    data = quick.server.metadata()
    assert data["reason"] == "user_disconnect:bert"
    assert data["initialized"] is True
    assert data["node_count"] == len(quick.uuids)
    assert data["user_count"] == 1
    assert {"timestamp", "datetime"} <= set(data)
    assert quick.server.snapshots()


def test_each_of_a_crowd_that_leaves_at_once_is_logged(quick, fleet):
    crowd = quick.join(*(f"user {i}" for i in range(24)))
    mark = quick.server.mark()
    for user in crowd:
        user.disconnect()
    for user in crowd:
        saved(quick.server, f"user_disconnect:{user.name}", mark, fleet)


def test_interval(make_session, fleet):
    session = make_session(save_interval="1s")
    assert session.server.logged(r"Auto-save enabled \(interval: 1s\)")
    mark = session.server.mark()
    session.admin.edit(session.uuids[1], lambda d: d.update(name="changed"))
    saved(session.server, "auto-save", mark, fleet)
    assert session.server.metadata()["reason"] == "auto-save"


def test_interval_of_the_log_line(make_server):
    server = make_server(save_interval=120)
    assert server.logged(r"Auto-save enabled \(interval: 120s\)")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_saves(session, fleet, number):
    session.join("bert")
    edit_everything(session, *session.users)
    expected = session.admin.scene()
    mark = session.server.mark()
    session.server.stop(number)
    assert session.server.logged(r"Session saved to disk \(reason: shutdown\)", mark)
    assert session.server.metadata()["reason"] == "shutdown"
    for user in session.users:
        user.disconnect()
    session.server.start()
    assert session.server.logged("Session restored from disk", mark)
    carl = session.connect("carl").wait_state("active")
    assert carl.answers == ["RUNNING"], "nobody has to press Init again"
    assert carl.scene() == expected


class StatusLines:
    """Stands in for systemd: the status lines that the daemon has sent it."""

    def __init__(self, folder):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify")}
        self._lines = []

    def read(self):
        try:
            while True:
                self._lines += re.findall("^STATUS=(.*)$", self._socket.recv(65536).decode(), re.M)
        except BlockingIOError:
            return self._lines

    def close(self):
        self._socket.close()


def test_status_after_a_restart_tells_the_last_save(make_session, fleet, tmp_path):
    """Of the life before, be it that it had nothing to write."""
    lines = StatusLines(tmp_path)
    server = make_session(environment=lines.environment).server
    assert "not saved yet" in lines.read()[0]
    for number, reason in ((signal.SIGTERM, "shutdown"), (signal.SIGTERM, "shutdown"), (signal.SIGKILL, "shutdown")):
        if number == signal.SIGKILL:
            mark = server.mark()
            server.send_signal(signal.SIGUSR1)
            reason = "manual"
            saved(server, reason, mark)
        n_lines = len(lines.read())
        server.restart(number)
        first = next(line for line in lines.read()[n_lines:] if " nodes, " in line)
        when = time.strftime("%H:%M:%S", time.localtime(server.metadata()["timestamp"]))
        assert first.endswith(f"saved {when} ({reason})"), first
    lines.close()


def test_metadata_is_a_text_file(session):
    """Of whole lines, as `cat` and scripts want it."""
    session.server.stop()
    with open(os.path.join(session.server.data_dir, "session_metadata.json"), "rb") as stream:
        assert stream.read().endswith(b"}\n")


def test_sigusr1_saves(session, fleet):
    mark = session.server.mark()
    session.server.send_signal(signal.SIGUSR1)
    saved(session.server, "manual", mark, fleet)
    session.join("bert")
    session.check_same()


def test_snapshot_of_little_counts_everything(session, fleet):
    """The second snapshot lists what has changed, and stands for the whole session all the same."""
    sizes = []
    bert = session.join("bert")
    for _ in range(3):
        mark = session.server.mark()
        session.admin.edit(session.uuids[0], lambda d: d.update(name=new_uuid()))
        name = session.admin.nodes[session.uuids[0]].data["name"]
        fleet.wait_until(lambda n=name: bert.nodes[session.uuids[0]].data["name"] == n, what="the edit to arrive")
        session.server.send_signal(signal.SIGUSR1)
        saved(session.server, "manual", mark, fleet)
        data = session.server.metadata()
        assert data["node_count"] == len(session.uuids)
        sizes.append(data["payload_bytes"])
    assert min(sizes) > 0 and max(sizes) < 2 * min(sizes)
    session.server.restart()
    assert "says that there are" not in session.server.log()


def test_unchanged_session_is_not_stored_again(session, fleet):
    """Else ten idle saves would push the last good version out."""
    mark = session.server.mark()
    session.server.send_signal(signal.SIGUSR1)
    saved(session.server, "manual", mark, fleet)
    first = session.server.snapshots()
    stamp = session.server.metadata()["timestamp"]
    for _ in range(3):
        mark = session.server.mark()
        session.server.send_signal(signal.SIGUSR1)
        saved(session.server, "manual", mark, fleet)
    assert session.server.snapshots() == first
    assert session.server.metadata()["timestamp"] >= stamp
    session.admin.edit(session.uuids[1], lambda d: d.update(name="changed"))
    bert = session.join("bert")
    fleet.settle(session.admin, bert)
    mark = session.server.mark()
    session.server.send_signal(signal.SIGUSR1)
    saved(session.server, "manual", mark, fleet)
    assert len(session.server.snapshots()) == len(first) + 1


def test_max_backups(make_session, fleet):
    session = make_session(max_backups=3, keep_hourly=0, keep_daily=0, keep_weekly=0)
    bert = session.join("bert")
    for i in range(8):
        session.admin.edit(session.uuids[1], lambda d: d.update(name=f"version {i}"))
        fleet.wait_until(lambda: bert.nodes[session.uuids[1]].data["name"] == f"version {i}")
        mark = session.server.mark()
        session.server.send_signal(signal.SIGUSR1)
        saved(session.server, "manual", mark, fleet)
    fleet.wait_until(lambda: len(session.server.snapshots()) == 3, what="old snapshots to be removed")
    session.check_same()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_locks_of_those_who_do_not_come_back(make_session, fleet, how):
    session = make_session(timeout="2s", reconnect_grace="1s")
    bert, carl = session.join("bert", "carl")
    bert.lock(*session.uuids[:3])
    fleet.wait_until(lambda: carl.nodes[session.uuids[0]].owner == "bert")
    for user in session.users:
        user.disconnect()
    session.server.restart(how)
    dora = session.connect("dora").wait_state("active")
    fleet.wait_until(lambda: all(n.owner == COMMON for n in dora.nodes.values()), what="locks to be released")
    fleet.wait_until(lambda: set(dora.users) == {"dora"})
    fleet.check_clean(dora)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_metadata_is_kept(session, fleet, how):
    """Of users who come back through the restart; they are the ones whose table entries matter."""
    bert = session.join("bert")
    bert.metadata(color=(0.5, 0.5, 0.5, 1.0), scene_current="Scene")
    fleet.wait_until(lambda: session.admin.users["bert"]["metadata"].get("color"))
    session.server.restart(how)
    carl = session.join("carl")
    fleet.wait_until(lambda: "bert" in carl.users)
    assert carl.users["bert"]["metadata"]["color"] == (0.5, 0.5, 0.5, 1.0)
    assert bert.state == "active"


def test_empty_session_starts_empty_again(make_server, fleet):
    server = make_server()
    anna = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    anna.disconnect()
    server.restart()
    bert = fleet.client(server.address, "bert", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    bert.init([(new_uuid(), [], item("first"))])
    bert.wait_state("active")


def test_killed_during_an_init_is_a_lobby_again(make_server, fleet, rng):
    server = make_server(timeout="2s", reconnect_grace="1s")
    anna = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    anna.init([(new_uuid(rng), [], item("first")), (new_uuid(rng), [], item("second"))], sending=False)
    fleet.wait_until(lambda: anna.dialogue == ["ACCEPTED"])
    anna.disconnect()
    server.kill()
    server.start()
    bert = fleet.client(server.address, "bert", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    nodes = [(new_uuid(rng), [], item("third"))]

    def initialised():
        # Until the grace time of the one who vanished is over, an init may be rejected.
        if bert.state == "lobby":
            bert.nodes.clear()
            bert.init(nodes)
        return bert.state == "active"
    fleet.wait_until(initialised)
    fleet.check_same(server.address, bert)


def test_five_restarts_in_a_row(quick, fleet, rng):
    expected = None
    leave(quick, quick.admin)
    for turn in range(5):
        user = quick.connect(f"user {turn}").wait_state("active")
        if expected:
            assert user.scene() == expected
        user.push(new_uuid(rng), mesh(f"of turn {turn}", rng))
        user.edit(rng.choice([u for u in quick.uuids if u in user.nodes]), lambda d: d.update(turn=turn))
        # Read back by another one: then it has arrived.
        other = quick.connect(f"reader {turn}").wait_state("active")
        fleet.settle(user, other)
        expected = user.scene()
        leave(quick, user, other)
        quick.server.restart(rng.choice([signal.SIGTERM, signal.SIGKILL]))


def test_large_session(make_server, fleet, rng):
    server = make_server()
    nodes = [(new_uuid(rng), [], item(f"object {i}", rng)) for i in range(2000)]
    nodes += [(new_uuid(rng), [], mesh(f"mesh {i}", rng, vertices=100_000)) for i in range(20)]
    anna = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect().wait_state("lobby")
    anna.init(nodes)
    anna.wait_state("active")
    expected = anna.scene()
    anna.disconnect()
    server.restart()
    bert = fleet.client(server.address, "bert").connect().wait_state("active", timeout=120)
    assert bert.scene() == expected


def test_data_folder_is_private(quick, fleet):
    leave(quick, quick.admin)
    for base, folders, files in os.walk(quick.server.data_dir):
        for name in [".", *folders, *files]:
            mode = os.stat(os.path.join(base, name)).st_mode
            if stat.S_ISSOCK(mode):
                continue  # the control socket is for its group, and asks who is there
            assert not mode & 0o022, f"{os.path.join(base, name)} can be written by others"


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
