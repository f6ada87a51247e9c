#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users tell of themselves, and the table of users."""

import json
import sys

import tap  # first: it says which packages are missing
import pytest

from wire import Kind

# A client that falls silent for two seconds is not dropped by the default timeout, so these tests can count PINGs.


def metadata_of(viewer, name):
    return viewer.users.get(name, {}).get("metadata", {})


@pytest.mark.reference
def test_fields_are_merged_and_reach_the_others(session, fleet):
    bert, carl = session.join("bert", "carl")
    before = bert.counts[Kind.UPDATE_USER_METADATA]
    bert.metadata(color=(0.1, 0.2, 0.3, 1.0), frame_current=7)
    bert.metadata(scene_current="Scene", frame_current=8)
    expected = {"color": (0.1, 0.2, 0.3, 1.0), "frame_current": 8, "scene_current": "Scene"}
    for viewer in (session.admin, carl):
        viewer.wait_until(lambda: metadata_of(viewer, "bert") == expected)
    assert bert.counts[Kind.UPDATE_USER_METADATA] == before, "metadata came back to its sender"
    fleet.check_clean()


@pytest.mark.reference
def test_every_type_that_clients_send(session, fleet):
    bert = session.join("bert")
    fields = {
        "view_corners": [[0.0, 1.0, 2.0]] * 7,
        "view_matrix": [[1.0, 0.0, 0.0, 0.0]] * 4,
        "selected_objects": {session.uuids[0], session.uuids[1]},
        "mode_current": "EDIT_MESH",
        "nothing": None,
        "unknown field": {"nested": [b"bytes", (1, 2)]},
    }
    bert.metadata(**fields)
    fleet.wait_until(lambda: metadata_of(session.admin, "bert").items() >= fields.items())
    bert.metadata(tasks=json.dumps({"1": {"id": "1", "title": "größer ✓", "status": "open"}}))
    fleet.wait_until(lambda: json.loads(metadata_of(session.admin, "bert").get("tasks", "{}")).get("1", {}).get("title")
                     == "größer ✓")
    newcomer = session.join("carl")
    fleet.wait_until(lambda: metadata_of(newcomer, "bert").get("selected_objects") == fields["selected_objects"])
    fleet.check_clean()


@pytest.mark.reference
def test_newcomer_finds_it_in_the_table(session, fleet):
    bert = session.join("bert")
    bert.metadata(color=(1.0, 0.0, 0.0, 1.0))
    fleet.wait_until(lambda: metadata_of(session.admin, "bert").get("color"))
    carl = session.join("carl")
    fleet.wait_until(lambda: metadata_of(carl, "bert").get("color") == (1.0, 0.0, 0.0, 1.0))


def test_nobody_is_heard_of_before_being_announced(session, fleet):
    """A client looks the author of metadata up in its table, and fails when it is not there."""
    users = [session.admin]
    for i in range(12):
        user = session.connect(f"user {i}")
        user.metadata(frame_current=i)
        users.append(user)
        for other in users:
            other.metadata(view_matrix=[float(i)])
    fleet.wait_active(*users)
    session.users = users
    session.announced()
    fleet.settle(*users)
    fleet.check_clean()


def test_metadata_of_somebody_who_has_left(make_session, fleet):
    session = make_session(reconnect_grace="1s")
    bert, carl = session.join("bert", "carl")
    for i in range(50):
        bert.metadata(frame_current=i)
    bert.disconnect()
    fleet.wait_until(lambda: "bert" not in carl.users)
    fleet.settle(session.admin, carl)
    fleet.check_clean()


def test_metadata_in_the_name_of_somebody_else(session, fleet):
    bert, carl = session.join("bert", "carl")
    bert.command(Kind.UPDATE_USER_METADATA, {"color": "stolen"}, owner="carl")
    bert.command(Kind.UPDATE_USER_METADATA, {"color": "stolen"}, owner="nobody")
    fleet.settle(session.admin, carl)
    assert metadata_of(session.admin, "carl").get("color") != "stolen"
    dora = session.join("dora")
    assert all(metadata_of(dora, name).get("color") != "stolen" for name in ("anna", "carl"))
    fleet.check_clean(session.admin, carl, dora)


@pytest.mark.reference
def test_before_login_nothing_is_taken(session, fleet):
    stranger = fleet.client(session.server.address, "stranger", heartbeat=False).open()
    stranger.metadata(color="x")
    stranger.send(1, [b"\x80\x04K\x02.", b"u", b"COMMON", b"\x80\x04].", b"\x80\x04}."])
    bert = session.join("bert")
    assert set(bert.users) == {"anna", "bert"}
    session.check_same()


def test_an_idle_session_is_quiet(session, fleet):
    """The table is sent when something in it has changed; the jitter of the measured latency is no such thing."""
    users = [session.admin, *session.join("bert", "carl")]
    fleet.settle(*users)

    def pings():
        return min(u.heartbeat.pings for u in users)
    # The first measurements of the latency do change it.
    start = pings()
    fleet.wait_until(lambda: pings() >= start + 3)
    before = {u: u.counts[Kind.UPDATE_CLIENTS_STATE] for u in users}
    start = pings()
    fleet.wait_until(lambda: pings() >= start + 5)
    for user in users:
        sent = user.counts[Kind.UPDATE_CLIENTS_STATE] - before[user]
        assert sent <= 2, f"{sent} tables in 5 seconds in which nothing happened"


@pytest.mark.reference
def test_latency_is_measured(session, fleet):
    bert = session.join("bert")
    fleet.wait_until(lambda: 0 <= bert.users["anna"]["latency"] < 500, what="a latency of this machine")


@pytest.mark.reference
def test_moving_views_of_ten_users(session, fleet):
    users = [session.admin, *session.join(*(f"user {i}" for i in range(9)))]
    for frame in range(40):
        for user in users:
            user.metadata(view_matrix=[[float(frame)] * 4] * 4, frame_current=frame)
        fleet.pump()
    fleet.wait_until(lambda: all(metadata_of(viewer, u.name).get("frame_current") == 39
                                 for viewer in users for u in users if u is not viewer))
    fleet.check_clean()


def test_too_much_metadata_is_bounded(make_session, fleet):
    session = make_session(max_metadata="64K")
    bert, carl = session.join("bert", "carl")
    for i in range(200):
        bert.metadata(**{f"field {i}": "x" * 8000})
    fleet.settle(session.admin, carl)
    dora = session.join("dora")
    size = sum(len(str(v)) for v in metadata_of(dora, "bert").values())
    assert size <= 70000, f"the server keeps {size} bytes of metadata for one user"
    fleet.check_clean(session.admin, carl, dora)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
