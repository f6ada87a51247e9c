#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that are checked and hashed beside the loop: what their sender sends next stays behind them."""

import sys

import tap  # first: it says which packages are missing
import pytest

import wire
from client import COMMON, DATA
from values import item, mesh, new_uuid

VERTICES = 600_000  # 7 MB: several of them fit into a client's backlog


class Code:
    """Would be called by whoever unpickles it."""

    def __reduce__(self):
        return print, ("called",)


@pytest.fixture
def trio(session):
    return session.admin, *session.join("bert", "carl")


def test_small_ones_stay_behind(session, fleet, rng, trio):
    """Of one peer nothing overtakes."""
    anna, bert, carl = trio
    mesh_id, small_id = new_uuid(rng), new_uuid(rng)
    bert.push(mesh_id, mesh("large", rng, vertices=VERTICES))
    bert.edit(mesh_id, lambda data: data.update(name="edited"))
    bert.push(small_id, item("small"))
    fleet.wait_until(lambda: small_id in carl.nodes)
    assert carl.nodes[mesh_id].data["name"] == "edited"
    bert.edit(mesh_id, lambda data: data.update(name="last"))
    bert.push(mesh_id, {**bert.nodes[mesh_id].data, "name": "whole again"})
    bert.edit(mesh_id, lambda data: data.update(name="edited again"))
    bert.edit(small_id, lambda data: data.update(name="edited as well"))
    fleet.wait_until(lambda: carl.nodes[small_id].data["name"] == "edited as well")
    assert carl.nodes[mesh_id].data["name"] == "edited again"
    # One who has just initialised takes data a moment later, and gets whole nodes then.
    fleet.wait_until(lambda: mesh_id in anna.nodes and small_id in anna.nodes)
    fleet.wait_until(lambda: anna.nodes[small_id].data["name"] == "edited as well"
                     and anna.nodes[mesh_id].data["name"] == "edited again")
    session.check_same()


@pytest.mark.parametrize("number", [15, 9])
def test_restart_in_between(session, fleet, rng, trio, number):
    """What was passed on is there afterwards."""
    anna, bert, carl = trio
    mesh_id = new_uuid(rng)
    bert.push(mesh_id, mesh("large", rng, vertices=VERTICES))
    fleet.wait_until(lambda: mesh_id in carl.nodes)
    session.server.restart(number)
    fleet.wait_until(lambda: mesh_id in carl.nodes and mesh_id in anna.nodes)
    session.check_same()


def test_large_and_harmful(session, fleet, rng, trio):
    """It is refused as a small one would be, and what comes after it is judged for itself."""
    anna, bert, carl = trio
    mesh_id, small_id = new_uuid(rng), new_uuid(rng)
    bert.send(DATA, wire.node_frames(mesh_id, COMMON, [], {"bytes": bytes(8_000_000), "code": Code()}))
    bert.push(small_id, item("small"))
    fleet.wait_until(lambda: small_id in carl.nodes and small_id in anna.nodes)
    assert mesh_id not in carl.nodes and mesh_id not in anna.nodes
    assert session.server.logged("no harmless pickle")


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
