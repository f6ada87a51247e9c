#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a start makes of a log in which bytes have rotted: nobody is given them, and the rest is there."""

import sys
import uuid

import tap  # first: it says which packages are missing
import ctl
import pytest
import rot

NEEDLE = "this will rot on the disk"


def change_something(session):
    """A change of another node, after which the records before it are known to be durable."""
    seen = ctl.good("status", "--json", "--data-dir", session.server.data_dir).json["store"]["sequence"]
    session.admin.edit(session.uuids[0], lambda data: data.update(count=data.get("count", 0) + 1))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", "--data-dir", session.server.data_dir)
                             .json["store"]["durable_sequence"] > seen, what="the change to be durable")


@pytest.mark.parametrize("what", ["new", "whole", "delta"])
def test_a_rotten_record_is_not_served(make_session, what):
    session = make_session(reconnect_grace=1)
    node = str(uuid.uuid4()) if what == "new" else session.uuids[2]
    before = dict(session.admin.nodes[node].data) if what != "new" else None
    if what == "delta":
        session.admin.edit(node, lambda data: data.update(text=NEEDLE))
    else:
        session.admin.push(node, {"name": "Rotten", "type_id": "Mesh", "text": NEEDLE})
    change_something(session)
    session.admin.edit(node, lambda data: data.update(more=1))
    change_something(session)
    change_something(session)
    session.server.kill()
    assert rot.content(session.server.data_dir, NEEDLE.encode()) == 1
    session.admin.close()
    session.server.start()
    client = session.connect("berta")
    session.fleet.wait_active(client)
    assert client.nodes[session.uuids[0]].data["count"] == 3
    if before is None:
        assert node not in client.nodes
    else:
        assert client.nodes[node].data == before
    assert session.server.logged(f"is damaged on disk: node {node} (stays as it was|is left out)")


def test_damaged_beyond_use(make_session, monkeypatch):
    """Not started over, and how to go on is said."""
    session = make_session()
    server = session.server
    server.stop()
    session.admin.close()
    for path in rot.files(server.data_dir, "log") + rot.files(server.data_dir, "snapshots"):
        with open(path, "r+b") as stream:
            data = stream.read()
            stream.seek(0)
            stream.write(bytes(byte ^ 0x55 for byte in data))
    mark = server.mark()
    server.start(wait=False)
    assert server.wait_exit() != 0
    assert "damaged beyond use" in server.log_since(mark) and "--set-aside" in server.log_since(mark)
    arguments = server.arguments
    monkeypatch.setattr(server, "arguments", lambda: arguments() + ["--set-aside"])
    server.start()
    assert rot.files(server.data_dir, "aside")
    client = session.connect("berta")
    client.wait_state("lobby")
    client.close()
    server.stop()
    server.start()  # nothing to set aside any more
    session.connect("carl").wait_state("lobby")


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
