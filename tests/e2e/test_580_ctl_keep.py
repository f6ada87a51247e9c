#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a store in order: prune, and what `snapshots` tells of size and verification."""

import re
import sys

import tap  # first: it says which packages are missing
import ctl


def at(server):
    return "--data-dir", server.data_dir


def save_several(session, n):
    """Snapshots of which each has something of its own."""
    for i in range(n):
        seen = ctl.good("status", "--json", *at(session.server)).json["updates"]
        session.admin.edit(session.uuids[0], lambda data, i=i: data.update(step=i))
        session.fleet.wait_until(lambda seen=seen: ctl.good("status", "--json", *at(session.server)).json["updates"] > seen,
                                 what="the edit to be taken")
        ctl.good("save", *at(session.server))


def snapshots(server):
    return ctl.good("snapshots", "--json", *at(server)).json["snapshots"]


def test_prune(make_session):
    session = make_session(max_backups=20)
    server = session.server
    save_several(session, 6)
    listed = [s["name"] for s in snapshots(server)]
    assert len(listed) >= 6
    assert f"keeps all {len(listed)} snapshots" in ctl.good("prune", *at(server)).text
    ctl.good("pin", listed[-1], *at(server))
    server.settings["max_backups"] = 3
    server.restart()
    session.fleet.wait_active(session.admin)
    listed = [s["name"] for s in snapshots(server)]
    going = listed[3:-1]
    answer = ctl.good("prune", "--dry-run", "--json", *at(server)).json
    assert answer["removed"] == going and answer["kept"] == 4 and answer["bytes"] > 0
    text = ctl.good("prune", "--dry-run", *at(server)).text
    assert f"{len(going)} snapshots would go" in text and going[0] in text
    assert [s["name"] for s in snapshots(server)] == listed
    assert f"{len(going)} snapshots removed" in ctl.good("prune", *at(server)).text
    assert [s["name"] for s in snapshots(server)] == listed[:3] + listed[-1:]
    ctl.good("verify", "--all", *at(server))
    server.stop()
    ctl.refused(ctl.NOT_RUNNING, "no daemon answers", "prune", "--json", *at(server))


def test_what_would_be_pruned_is_told_without_a_daemon(make_session):
    """By the settings that the daemon would read."""
    session = make_session(max_backups=20)
    server = session.server
    save_several(session, 5)
    ctl.good("pin", "1", "the-first", *at(server))
    ctl.refused(ctl.USAGE, "too many arguments", "prune", "1", "--json", *at(server))
    server.stop()
    listed = [s["name"] for s in snapshots(server)]
    answer = ctl.good("prune", "--dry-run", "--json", *at(server), environment={"MAX_BACKUPS": "3"}).json
    assert answer["removed"] == listed[3:-1] and answer["kept"] == 4 and answer["bytes"] > 0
    text = ctl.good("prune", "--dry-run", *at(server), environment={"MAX_BACKUPS": "3"}).text
    assert f"{len(listed) - 4} snapshots would go" in text and "The daemon does not run" in text
    assert [s["name"] for s in snapshots(server)] == listed
    ctl.refused(ctl.FAILED, "the settings cannot be read", "prune", "--dry-run", "--json", *at(server),
                environment={"MAX_BACKUPS": "many"})
    ctl.refused(ctl.NOT_FOUND, "no session in", "prune", "--dry-run", "--json", "--data-dir", server.work_dir)
    assert "* pinned: 1 the-first\n" in ctl.good("snapshots", *at(server)).text


def test_snapshots_tell_what_is_new_and_verified(make_session):
    session = make_session()
    server = session.server
    save_several(session, 2)
    listed = snapshots(server)
    first = listed[-1]
    assert first["new_bytes"] == first["bytes"] > 0
    assert 0 < listed[0]["new_bytes"] < listed[0]["bytes"]
    assert all(s["verified"] is None and s["intact"] for s in listed)
    server.restart()
    session.fleet.wait_active(session.admin)
    ctl.good("scrub", *at(server))
    verified = {s["name"]: s["verified"] for s in snapshots(server)}
    assert all(verified[s["name"]] for s in listed)
    server.stop()
    assert all({s["name"]: s["verified"] for s in snapshots(server)}[s["name"]] for s in listed)
    assert re.search(rf" {verified[first['name']][:4]}-\d\d-\d\d$", ctl.good("snapshots", *at(server)).text, re.M)


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
