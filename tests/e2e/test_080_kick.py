#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting somebody out."""

import sys

import tap  # first: it says which packages are missing
import pytest

from wire import COMMON, Kind

KICKED = {"reason": "kicked by admin"}


@pytest.mark.reference
def test_kicked_user_is_told_and_gone(session, fleet):
    bert, carl = session.join("bert", "carl")
    bert.lock(session.uuids[0])
    fleet.wait_until(lambda: carl.nodes[session.uuids[0]].owner == "bert")
    session.admin.kick("bert")
    bert.wait_state("left")
    assert bert.reason == KICKED
    fleet.wait_until(lambda: all(set(c.users) == {"anna", "carl"} for c in (session.admin, carl)))
    fleet.wait_until(lambda: all(c.nodes[session.uuids[0]].owner == COMMON for c in (session.admin, carl)))
    session.check_same(session.admin, carl)


def test_only_admins_may_kick(session, fleet):
    """Clients ask their own code whether they may; the server must not trust that."""
    bert, carl = session.join("bert", "carl")
    mark = session.server.mark()
    bert.kick("carl")
    bert.kick("anna")
    bert.kick("bert")
    session.server.wait_log("bert", fleet=fleet, mark=mark)
    fleet.settle(session.admin, carl)
    assert carl.state == session.admin.state == "active"
    assert {"anna", "carl"} <= set(carl.users)
    fleet.check_clean(session.admin, carl)


def test_kick_in_the_name_of_the_admin(session, fleet):
    bert, carl = session.join("bert", "carl")
    bert.command(Kind.KICK, {"user": "carl"}, owner="anna")
    fleet.settle(session.admin, carl)
    assert carl.state == "active"
    assert "carl" in session.admin.users


@pytest.mark.reference
def test_nobody_of_that_name(session, fleet):
    bert = session.join("bert")
    session.admin.kick("nobody")
    session.admin.kick("")
    fleet.settle(session.admin, bert)
    assert set(bert.users) == {"anna", "bert"}


@pytest.mark.reference
def test_kicked_user_may_come_back(session, fleet):
    bert = session.join("bert")
    session.admin.kick("bert")
    bert.wait_state("left")
    fleet.wait_until(lambda: set(session.admin.users) == {"anna"})
    session.users.remove(bert)
    again = session.join("bert")
    assert again.answers == ["RUNNING"]
    session.check_same()


def test_what_a_kicked_client_still_sends_counts_for_nothing(session, fleet):
    """A client that ignores the Disconnect goes on with the same routing id."""
    bert, carl = session.join("bert", "carl")
    bert._leave = lambda reason: setattr(bert, "reason", reason)
    session.admin.kick("bert")
    fleet.wait_until(lambda: bert.reason == KICKED and "bert" not in carl.users)
    name = carl.nodes[session.uuids[0]].data["name"]
    bert.edit(session.uuids[0], lambda d: d.update(name="still there?"))
    bert.lock(session.uuids[0])
    bert.delete(session.uuids[1])
    bert.metadata(color="red")
    fleet.settle(session.admin, carl)
    assert carl.nodes[session.uuids[0]].data["name"] == name
    assert carl.nodes[session.uuids[0]].owner == COMMON
    assert session.uuids[1] in carl.nodes
    fleet.check_clean(session.admin, carl)
    session.check_same(session.admin, carl)
    del bert._leave


def test_kicked_during_a_join(make_session, fleet):
    session = make_session(join_ahead="0")
    bert = session.connect("bert", fetches=2)
    fleet.wait_until(lambda: bert.stopped)
    session.admin.kick("bert")
    bert.wait_state("left")
    assert bert.reason == KICKED
    fleet.wait_until(lambda: set(session.admin.users) == {"anna"})
    session.join("carl")
    session.check_same()


def test_admin_kicks_an_admin(session, fleet):
    bert = session.join("bert", admin=True)
    session.admin.kick("bert")
    bert.wait_state("left")
    assert session.admin.state == "active"


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
