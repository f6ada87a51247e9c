#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl backup`: copies that are whole, cheap, and can be served."""

import os
import sys
import time

import tap  # first: it says which packages are missing
import ctl
import pytest


def back_up(session, destination):
    """Copies are named after the second."""
    seen = set(os.listdir(destination)) if destination.exists() else set()
    while time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) in seen:
        time.sleep(0.05)
    return ctl.good("backup", destination, "--json", "--data-dir", session.server.data_dir).json


def log_files(session):
    """Size and time of each: a running daemon has records of its own to write for a moment after a login or a save."""
    folder = os.path.join(session.server.data_dir, "log")
    return {e.name: (e.stat().st_size, e.stat().st_mtime_ns) for e in os.scandir(folder)}


def back_up_twice_unchanged(session, destination):
    """Two copies between which the session has written nothing, and the names of those it took to get them."""
    names = []
    for _ in range(20):
        before = log_files(session)
        first, second = back_up(session, destination), back_up(session, destination)
        names += [first["name"], second["name"]]
        if log_files(session) == before:
            return first, second, names
    raise AssertionError(f"an idle session goes on writing: {before}, then {log_files(session)}")


def nodes(folder):
    return {n["uuid"]: (n["name"], n["bytes"]) for n in ctl.good("show", "now", "--json", "--data-dir", folder).json["nodes"]}


@pytest.mark.parametrize("running", [True, False])
def test_copies(make_session, tmp_path, running):
    session = make_session(segment_size="1M")
    ctl.good("save", "--data-dir", session.server.data_dir)
    if not running:
        session.server.stop()
    destination = tmp_path / "copies"
    oldest = back_up(session, destination)
    assert oldest["copied_bytes"] == oldest["bytes"] > 0 and oldest["linked"] == 0
    first, second, names = back_up_twice_unchanged(session, destination)
    assert second["copied_bytes"] == 0 and second["linked"] == second["files"] == first["files"]
    assert sorted(os.listdir(destination)) == [oldest["name"], *names]
    if running:
        session.admin.edit(session.uuids[0], lambda data: data.update(name="later"))
        session.fleet.wait_until(lambda: nodes(session.server.data_dir)[session.uuids[0]][0] == "later", what="the edit")
    third = back_up(session, destination)
    assert third["copied_bytes"] > 0 if running else third["copied_bytes"] == 0
    assert nodes(destination / third["name"]) == nodes(session.server.data_dir)
    assert nodes(destination / first["name"])[session.uuids[0]][0] != "later"
    copied = {n for _, _, names in os.walk(destination) for n in names}
    assert not copied & {"lock", "control", "admin-password"}


def test_a_copy_can_be_served(make_session, make_server, fleet, tmp_path):
    session = make_session()
    copy = back_up(session, tmp_path / "copies")
    server = make_server(start=False)
    os.rename(tmp_path / "copies" / copy["name"], server.data_dir)
    server.start()
    client = fleet.client(server.address, "first").connect()
    fleet.wait_active(client)
    assert {u: n.state()[2] for u, n in client.nodes.items()} == {u: n.state()[2] for u, n in session.admin.nodes.items()}


def test_refusals(session, tmp_path):
    ctl.refused(ctl.FAILED, "cannot copy", "backup", "/proc/nowhere", "--json", "--data-dir", session.server.data_dir)
    ctl.refused(ctl.NOT_FOUND, "no session in", "backup", tmp_path, "--json", "--data-dir", tmp_path / "nowhere")


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
