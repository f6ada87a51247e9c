#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that ask a running daemon, and those that change something in it."""

import os
import signal
import socket
import stat
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest
import values
from wire import COMMON


def at(server):
    return "--data-dir", server.data_dir


def status(server):
    return ctl.good("status", "--json", *at(server)).json


def test_status_of_an_empty_session(server):
    answer = status(server)
    assert answer["state"] == "lobby" and answer["node_count"] == 0 and answer["users"] == []
    assert answer["pid"] == server.process.pid and answer["port"] == server.ports[0] and answer["degraded"] is None
    assert "Nobody is in the session." in ctl.good("status", *at(server)).text


def test_status(session):
    session.join("berta")
    session.join("carl")
    answer = status(session.server)
    assert answer["state"] == "running" and answer["node_count"] == 9 and answer["user_count"] == 3
    assert {u["name"]: (u["admin"], u["status"]) for u in answer["users"]} == {
        "anna": (True, "active"), "berta": (False, "active"), "carl": (False, "active")}
    assert answer["store"]["log_bytes"] > answer["bytes"] > 0
    text = ctl.good("status", *at(session.server)).text
    assert "running" in text and "9 nodes" in text and "anna (admin)" in text and "carl" in text
    users = ctl.good("users", "--json", *at(session.server)).json["users"]
    assert [u["name"] for u in users] == ["anna", "berta", "carl"] and users[0]["address"] == "127.0.0.1"
    assert "berta" in ctl.good("users", *at(session.server)).text


def test_status_counts_updates_and_locks(session):
    berta = session.join("berta")
    berta.lock(*session.uuids[:3])
    session.admin.edit(session.uuids[5], lambda data: data.update(added=1))
    session.fleet.wait_until(lambda: "added" in berta.nodes[session.uuids[5]].data, what="the edit to arrive")
    users = {u["name"]: u for u in status(session.server)["users"]}
    assert users["berta"]["locked_nodes"] == 3 and users["anna"]["updates"] >= 1


def test_status_of_a_stopped_session(session):
    session.server.stop()
    answer = ctl.run("status", "--json", *at(session.server))
    assert answer.status == ctl.NOT_RUNNING and answer.json["state"] == "stopped" and answer.json["node_count"] == 9
    answer = ctl.run("status", *at(session.server))
    assert answer.status == ctl.NOT_RUNNING and "not running" in answer.text and not answer.error


def test_nobody_answers(tmp_path):
    ctl.refused(ctl.NOT_RUNNING, "no daemon answers", "users", "--json", "--data-dir", tmp_path)
    ctl.refused(ctl.NOT_FOUND, "no session in", "status", "--data-dir", tmp_path / "nowhere")


def test_kick(session):
    berta = session.join("berta")
    ctl.good("kick", "berta", "--reason", "lunch", *at(session.server))
    session.fleet.wait_until(lambda: berta.state == "left", what="berta to be out")
    assert berta.reason == {"reason": "lunch"}
    ctl.refused(ctl.NOT_FOUND, "nobody named", "kick", "berta", "--json", *at(session.server))
    assert session.admin.state == "active"


def test_ban_and_unban(make_session):
    session = make_session(allow="192.0.2.1", failed_login_limit=5)
    assert "may come back" not in ctl.good("ban", "203.0.113.9", *at(session.server)).text
    assert status(session.server)["network"]["banned_addresses"] == 1
    ctl.good("ban", "203.0.113.9", *at(session.server))
    ctl.refused(ctl.REFUSED, "is in `allow`", "ban", "192.0.2.1", *at(session.server))
    assert status(session.server)["network"]["banned_addresses"] == 1
    ctl.good("unban", "203.0.113.9", *at(session.server))
    assert status(session.server)["network"]["banned_addresses"] == 0
    ctl.refused(ctl.NOT_FOUND, "not shut out", "unban", "203.0.113.9", "--json", *at(session.server))
    ctl.refused(ctl.NOT_FOUND, "neither an IP address nor somebody", "ban", "somebody", *at(session.server))


def test_ban_a_user(make_session):
    session = make_session(allow="192.0.2.1", failed_login_limit=5)
    berta = session.join("berta")
    ctl.good("ban", "berta", *at(session.server))
    session.fleet.wait_until(lambda: berta.state == "left", what="berta to be out")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ban_outlasts_a_restart(make_session, fleet, number):
    session = make_session(allow="192.0.2.1", ban_time="8s", reconnect_grace="1s")
    berta = session.join("berta", source="127.0.0.9")
    ctl.good("ban", "berta", *at(session.server))
    fleet.wait_until(lambda: berta.state == "left", what="berta to be out")
    for address in ("203.0.113.9", "2001:db8::9", "203.0.113.10"):
        ctl.good("ban", address, *at(session.server))
    ctl.good("unban", "2001:db8::1", *at(session.server))
    ctl.good("unban", "203.0.113.10", *at(session.server))
    session.server.restart(number)
    assert status(session.server)["network"]["banned_addresses"] == 2
    again = session.connect("berta", source="127.0.0.9", timeout=1.0)
    fleet.wait_until(lambda: again.state == "left", what="the attempt to be given up")
    assert not again.answers
    session.join("carl", source="127.0.0.10")
    # It ends when it would have.
    fleet.wait_until(lambda: status(session.server)["network"]["banned_addresses"] == 0, what="the bans to end")
    session.join("dora", source="127.0.0.9")
    session.server.restart(number)
    assert status(session.server)["network"]["banned_addresses"] == 0


def test_ban_without_automatic_bans(make_session):
    session = make_session(allow="192.0.2.1", failed_login_limit=0)
    ctl.good("ban", "203.0.113.9", *at(session.server))
    assert status(session.server)["network"]["banned_addresses"] == 1
    assert os.path.exists(os.path.join(session.server.data_dir, "bans.json"))


def test_who_is_away_is_counted(session):
    """Between the loss of the connection and the end of reconnect_grace the user's place, name and locks are kept."""
    berta = session.join("berta")
    answer = status(session.server)
    assert answer["user_count"] == 2 and answer["away_count"] == 0
    berta.crash()
    session.fleet.wait_until(lambda: status(session.server)["away_count"] == 1, what="the loss to be noticed")
    answer = status(session.server)
    assert answer["user_count"] == 2 and {u["name"]: u["status"] for u in answer["users"]} == {
        "anna": "active", "berta": "away"}
    metrics = ctl.run("metrics", *at(session.server)).text.splitlines()
    assert 'scenekeep_users{session="default"} 2' in metrics and 'scenekeep_users_away{session="default"} 1' in metrics


def test_lock_and_unlock(session):
    berta = session.join("berta")
    node = session.uuids[1]
    name = berta.nodes[node].data["name"]
    ctl.good("lock", name, "berta", *at(session.server))
    session.fleet.wait_until(lambda: session.admin.nodes[node].owner == "berta" == berta.nodes[node].owner,
                             what="the lock to be known")
    ctl.good("unlock", node, *at(session.server))
    session.fleet.wait_until(lambda: session.admin.nodes[node].owner == COMMON == berta.nodes[node].owner,
                             what="the release to be known")
    ctl.refused(ctl.NOT_FOUND, "nobody named", "lock", node, "zoe", *at(session.server))
    ctl.refused(ctl.NOT_FOUND, "no node named", "unlock", "zoe", *at(session.server))
    session.check_same()


def test_lock_without_the_folder(session, tmp_path):
    """As somebody who may ask the daemon and may not read what it keeps."""
    node = session.uuids[1]
    elsewhere = "--json", "--socket", os.path.join(session.server.data_dir, "control"), "--data-dir", tmp_path
    ctl.refused(ctl.NOT_FOUND, "no session in", "lock", session.admin.nodes[node].data["name"], "anna", *elsewhere)
    ctl.good("lock", node, "anna", *elsewhere)
    session.fleet.wait_until(lambda: session.admin.nodes[node].owner == "anna", what="the lock to be known")
    ctl.good("unlock", node, *elsewhere)
    session.fleet.wait_until(lambda: session.admin.nodes[node].owner == COMMON, what="the release to be known")
    ctl.refused(ctl.NOT_FOUND, "there is no node", "unlock", "0" * 8 + node[8:], *elsewhere)


def test_save_and_pins(session):
    folder = at(session.server)
    saved = ctl.good("save", "--json", *folder).json
    assert saved["node_count"] == 9 and not saved["pinned"]
    listed = ctl.good("snapshots", "--json", *folder).json["snapshots"]
    assert listed[0]["name"] == saved["name"] and "manual" in listed[0]["reason"]
    session.admin.edit(session.uuids[0], lambda data: data.update(more=1))
    session.fleet.wait_until(lambda: status(session.server)["updates"] > 0, what="the edit to be taken")
    pinned = ctl.good("save", "--pin", "--json", *folder).json
    assert pinned["name"] != saved["name"]

    def pins():
        return {s["name"] for s in ctl.good("snapshots", "--json", *folder).json["snapshots"] if s["pinned"]}
    assert pins() == {pinned["name"]}
    assert "is kept" in ctl.good("pin", saved["name"], *folder).text
    assert "already" in ctl.good("pin", saved["name"], *folder).text
    assert pins() == {saved["name"], pinned["name"]}
    assert "retention" in ctl.good("unpin", pinned["name"], *folder).text
    assert pins() == {saved["name"]}
    ctl.refused(ctl.NOT_FOUND, "no snapshot", "pin", "4711", "--json", *folder)

    def names():
        return {s["name"]: s["pin_name"] for s in ctl.good("snapshots", "--json", *folder).json["snapshots"]}
    session.admin.edit(session.uuids[0], lambda data: data.update(more=2))
    session.fleet.wait_until(lambda: status(session.server)["updates"] > 1, what="the edit to be taken")
    ctl.refused(ctl.USAGE, "save --pin early", "save", "early", *folder)
    ctl.refused(ctl.USAGE, "begin with a letter", "save", "--pin", "1st", *folder)
    assert len(names()) == 2
    named = ctl.good("save", "--pin", "early", "--json", *folder).json["name"]
    assert names()[named] == "early"
    ctl.refused(ctl.REFUSED, "another name", "save", "--pin", "early", *folder)
    ctl.refused(ctl.REFUSED, "another name", "pin", saved["name"], "early", *folder)
    assert "is kept" in ctl.good("pin", saved["name"], "older", *folder).text
    assert names()[saved["name"]] == "older" and " early, " in ctl.good("snapshots", *folder).text
    assert ctl.good("show", "early", "--json", *folder).json
    assert "Saved as" in ctl.good("save", *folder).text


def test_the_socket_is_private(server):
    path = os.path.join(server.data_dir, "control")
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    server.stop()
    assert not os.path.exists(path)


def test_a_crash_leaves_no_obstacle(server):
    server.kill()
    assert os.path.exists(os.path.join(server.data_dir, "control"))
    ctl.refused(ctl.NOT_RUNNING, "no daemon answers", "users", *at(server))
    server.start()
    assert status(server)["state"] == "lobby"


def test_a_very_long_path(make_session, tmp_path):
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    session = make_session(data_dir=folder)
    assert ctl.good("status", "--json", "--data-dir", folder).json["node_count"] == 9
    session.server.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be somebody else")
def test_others_are_turned_away(session):
    path = os.path.join(session.server.data_dir, "control")
    os.chmod(session.server.folder, 0o755)
    os.chmod(session.server.data_dir, 0o755)
    os.chmod(path, 0o666)  # as if somebody had been careless
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(path)
            try:
                s.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
                os._exit(0 if s.recv(100) == b"" else 1)
            except ConnectionError:
                os._exit(0)
            except OSError:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert status(session.server)["user_count"] == 1


def test_noise_on_the_socket(session, rng):
    path = os.path.join(session.server.data_dir, "control")
    held = []
    for i in range(50):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        held.append(s)
        try:
            s.connect(path)
            s.sendall(rng.randbytes(200) if i % 2 else b"\0AUTH EXTERNAL 30\r\n" + rng.randbytes(100))
        except OSError:
            pass
    for s in held:
        s.close()
    session.fleet.wait_until(lambda: ctl.run("status", *at(session.server)).status == ctl.OK, what="an answer")
    session.check_same()


# ---- going back ----

def edited(session):
    """A snapshot, and then every kind of change. Returns the snapshot's name and the scene of that time."""
    berta = session.join("berta")
    saved = ctl.good("save", "--json", *at(session.server)).json["name"]
    before = {u: (list(n.dependencies or []), n.state()[2]) for u, n in berta.nodes.items()}
    session.admin.edit(session.uuids[1], lambda data: data.update(name="changed"))
    session.admin.edit(session.uuids[3], lambda data: data.update(name="changed too"))
    session.admin.delete(session.uuids[8])
    session.admin.push("11111111-2222-3333-4444-555555555555", {"type_id": "Object", "name": "new"}, [session.uuids[0]])
    # A lock that overtakes the change, which comes by another connection, would have it refused.
    session.fleet.wait_until(lambda: berta.nodes[session.uuids[3]].data["name"] == "changed too", what="the changes")
    berta.lock(session.uuids[3])
    session.fleet.wait_until(lambda: "11111111-2222-3333-4444-555555555555" in berta.nodes
                             and berta.nodes[session.uuids[1]].data["name"] == "changed"
                             and berta.nodes[session.uuids[3]].data["name"] == "changed too"
                             and session.uuids[8] not in berta.nodes
                             and session.admin.nodes[session.uuids[3]].owner == "berta", what="the changes to arrive")
    return saved, before


def content(client):
    return {u: (list(n.dependencies or []), n.state()[2]) for u, n in client.nodes.items()}


def test_restore_and_undo(session):
    saved, before = edited(session)
    after = content(session.users[1])
    answer = ctl.good("restore", saved, "--json", *at(session.server)).json
    assert answer == {"restored": 3, "removed": 1, "unchanged": 6}
    session.fleet.wait_until(lambda: all(content(u) == before for u in session.users), what="the scene to go back")
    assert all(n.owner == COMMON for n in session.users[1].nodes.values())
    session.check_same()
    assert "--undo" in ctl.good("restore", "--undo", *at(session.server)).text
    session.fleet.wait_until(lambda: all(content(u) == after for u in session.users), what="the restore to be undone")
    for user in session.users:
        user.mark = values.new_uuid()  # the old ones have just been deleted: sent again at once they would be late data
    session.check_same()
    # and it is all in the journal
    session.server.restart()
    session.fleet.wait_active(*session.users)
    session.check_same()
    assert {u: c for u, c in content(session.admin).items() if u in after} == after


def test_restore_one_node(session):
    saved, before = edited(session)
    after = content(session.users[1])
    answer = ctl.good("restore", saved, "--node", session.uuids[1], "--json", *at(session.server)).json
    assert answer["restored"] == 1 and answer["removed"] == 0
    want = {**after, session.uuids[1]: before[session.uuids[1]]}
    session.fleet.wait_until(lambda: all(content(u) == want for u in session.users), what="the node to go back")
    session.check_same()


def test_restore_to_a_time(session):
    saved, before = edited(session)
    listed = ctl.good("snapshots", "--json", *at(session.server)).json["snapshots"]
    moment = next(s["time"] for s in listed if s["name"] == saved)
    ctl.good("restore", "--at", moment, *at(session.server))
    session.fleet.wait_until(lambda: all(content(u) == before for u in session.users), what="the scene to go back")
    session.check_same()


def test_restore_without_a_daemon(session):
    saved, before = edited(session)
    for user in session.users:
        user.disconnect()
    session.server.stop()
    answer = ctl.good("restore", saved, "--json", *at(session.server)).json
    assert answer == {"restored": 3, "removed": 1, "unchanged": 6}
    assert ctl.good("restore", saved, "--json", *at(session.server)).json == {"restored": 0, "removed": 0, "unchanged": 9}
    ctl.refused(ctl.NOT_RUNNING, "needs the daemon", "restore", "--undo", *at(session.server))
    session.server.start()
    later = session.connect("later")
    session.fleet.wait_active(later)
    assert content(later) == before


def test_restore_refusals(session):
    folder = at(session.server)
    ctl.refused(ctl.NOT_FOUND, "no snapshot", "restore", "4711", "--json", *folder)
    ctl.refused(ctl.NOT_FOUND, "nothing to undo", "restore", "--undo", "--json", *folder)
    ctl.refused(ctl.USAGE, "say to what", "restore", *folder)
    ctl.refused(ctl.USAGE, "not a time", "restore", "--at", "whenever", *folder)
    ctl.refused(ctl.NOT_FOUND, "no node named", "restore", "--at", "now", "--node", "zoe", "--json", *folder)
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
