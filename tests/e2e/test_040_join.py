#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining a running session."""

import sys

import tap  # first: it says which packages are missing
import pytest

import wire
from values import item, mesh, new_uuid
from wire import COMMON, Kind, Status


class StepByStep:
    """Joins by hand, so that a test can do things between two steps."""

    def __init__(self, session, name):
        self.client = session.connect(name, heartbeat=True, record=True)
        self.client._on_snapshot = self._keep
        self.snapshots = []
        self.client.wait_until(lambda: self.client.answers)
        self.catalog = self._next()["CATALOG"]

    def _keep(self, data):
        self.snapshots.append(data)

    def _next(self):
        self.client.wait_until(lambda: self.snapshots, what="the next step of the join")
        return self.snapshots.pop(0)

    def next_catalog(self):
        while "CATALOG" not in (step := self._next()):
            pass
        return step["CATALOG"]

    def get(self, node_uuid):
        """Asks; what the server has sent ahead of other questions is left aside, as clients do."""
        self.client.command(Kind.SNAPSHOT, {"STATE": "GET", "ID": node_uuid})
        while True:
            step = self._next()
            assert step["STATE"] == "SET"
            if step["DATA"] == b"removed" or wire.parse(step["DATA"]).uuid == node_uuid:
                return step["DATA"]

    def done(self):
        self.client.command(Kind.SNAPSHOT, {"STATE": "DONE"})


@pytest.mark.reference
def test_newcomer_gets_everything(session, fleet):
    bert = session.join("bert")
    assert bert.answers == ["RUNNING"]
    assert bert.scene() == session.admin.scene()
    assert session.admin.users["bert"]["status"] == Status.ACTIVE
    session.check_same()


@pytest.mark.reference
def test_several_at_once(session, fleet):
    session.join(*(f"user {i}" for i in range(8)))
    session.check_same()


@pytest.mark.reference
def test_status_is_seen_by_the_others(session, fleet):
    step = StepByStep(session, "bert")
    fleet.wait_until(lambda: "bert" in session.admin.users)
    assert session.admin.users["bert"]["status"] != Status.ACTIVE
    for node_uuid in reversed(step.catalog):
        step.get(node_uuid)
    step.done()
    fleet.wait_until(lambda: session.admin.users["bert"]["status"] == Status.ACTIVE)
    fleet.check_clean(session.admin)


def test_catalog_names_dependencies_so_that_they_are_fetched_first(session, fleet):
    """Clients fetch from the end and apply in the order of arrival where they can; every uuid is named once."""
    step = StepByStep(session, "bert")
    assert sorted(step.catalog) == sorted(session.uuids)


@pytest.mark.reference
def test_any_order_of_asking_is_served(session, fleet):
    step = StepByStep(session, "bert")
    for node_uuid in sorted(step.catalog):
        assert wire.parse(step.get(node_uuid)).uuid == node_uuid
    for node_uuid in sorted(step.catalog):
        assert wire.parse(step.get(node_uuid)).uuid == node_uuid, "asking twice is harmless"


@pytest.mark.reference
def test_deleted_between_catalog_and_get(session, fleet):
    step = StepByStep(session, "bert")
    gone = step.catalog[0]
    session.admin.delete(gone)
    fleet.wait_until(lambda: gone not in session.admin.nodes)
    assert step.get(gone) == b"removed"


@pytest.mark.reference
def test_get_of_something_unknown(session, fleet):
    step = StepByStep(session, "bert")
    assert step.get(new_uuid()) == b"removed"
    assert wire.parse(step.get(step.catalog[-1])).uuid == step.catalog[-1]


def test_deleted_after_it_was_handed_out(make_session, fleet):
    """A client overlooks a Delete of what it has not fetched yet, and keeps it in the dependencies it was handed."""
    session = make_session(join_ahead="0")
    admin = session.admin
    late = session.connect("bert", fetches=2)
    fleet.wait_until(lambda: late.stopped)
    for node_uuid in list(session.uuids)[:5]:
        admin.delete(node_uuid)
    carl = session.join("carl")  # by then the server has the Deletes
    assert not set(session.uuids[:5]) & carl.nodes.keys()
    late.fetch_on()
    late.wait_state("active")
    session.users.append(late)
    session.announced()
    session.check_same()


@pytest.mark.reference
def test_node_added_during_a_join(session, fleet):
    StepByStep(session, "bert")
    fresh = new_uuid()
    session.admin.push(fresh, item("fresh"))
    bystander = session.join("carl")
    fleet.wait_until(lambda: fresh in bystander.nodes)
    late = session.join("dora")
    fleet.wait_until(lambda: fresh in late.nodes)


def test_owner_and_dependencies_are_handed_over(session, fleet):
    admin = session.admin
    mesh_id, object_id = session.uuids[0], session.uuids[1]
    admin.lock(mesh_id)
    fleet.wait_until(lambda: admin.nodes[mesh_id].owner == "anna")
    bert = session.join("bert")
    assert bert.nodes[mesh_id].owner == "anna"
    assert bert.nodes[object_id].owner == COMMON
    assert bert.nodes[object_id].dependencies == [mesh_id]
    session.check_same()


@pytest.mark.parametrize("fetched", [0, 1, 4])
@pytest.mark.parametrize("how", ["disconnect", "crash"])
def test_joiner_that_vanishes_midway(make_session, fleet, fetched, how):
    session = make_session(timeout="1500ms", reconnect_grace="1s")
    step = StepByStep(session, "bert")
    for node_uuid in step.catalog[:fetched]:
        step.get(node_uuid)
    getattr(step.client, how)()
    carl = session.join("carl")
    fleet.wait_until(lambda: set(carl.users) == {"anna", "carl"}, what="the half-joined user to be gone")
    fleet.wait_until(lambda: set(session.admin.users) == {"anna", "carl"})
    session.check_same(session.admin, carl)


@pytest.mark.reference
def test_large_nodes(session, fleet, rng):
    for i in range(3):
        session.admin.push(new_uuid(rng), mesh(f"big {i}", rng, vertices=1_000_000))
    bert = session.join("bert")
    # The server may have read the last of them only when bert was active already.
    fleet.wait_until(lambda: len(bert.nodes) == len(session.uuids) + 3)
    session.check_same()


def test_running_session_without_nodes_is_answered_as_lobby(session, fleet):
    """An empty catalog would raise in the client."""
    for node_uuid in session.uuids:
        session.admin.delete(node_uuid)
    fleet.wait_until(lambda: not session.admin.nodes)
    bert = session.connect("bert").wait_state("lobby")
    assert bert.answers == ["LOBBY"]
    fleet.wait_until(lambda: set(session.admin.users) == {"anna", "bert"})
    fleet.check_clean()
    # Somebody adds something: whoever waits must get it.
    session.admin.push(new_uuid(), mesh("again"))
    bert.wait_state("active")
    session.check_same(session.admin, bert)


def test_last_node_deleted_before_the_catalog_is_asked_for(session, fleet):
    class Hesitant:
        asked = False

    bert = session.connect("bert")
    bert.request_join = lambda: setattr(Hesitant, "asked", True)
    fleet.wait_until(lambda: Hesitant.asked)
    for node_uuid in session.uuids:
        session.admin.delete(node_uuid)
    fleet.wait_until(lambda: not session.admin.nodes)
    del bert.request_join
    bert.request_join()
    session.admin.push(new_uuid(), mesh("again"))
    bert.wait_state("active")
    session.check_same(session.admin, bert)


def test_asking_for_the_catalog_again(session, fleet):
    step = StepByStep(session, "bert")
    step.get(step.catalog[-1])
    step.client.request_join()
    catalog = step.next_catalog()
    for node_uuid in reversed(catalog):
        assert wire.parse(step.get(node_uuid)).uuid == node_uuid
    step.done()
    fleet.wait_until(lambda: session.admin.users.get("bert", {}).get("status") == Status.ACTIVE)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
