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
    session.server.guarded = False
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


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
