#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process ends at random moments under load: whatever anybody saw is there afterwards."""

import os
import signal
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from load import Load
from values import item, new_uuid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("round_", range(3))
def test_union_of_what_was_seen_is_there(make_session, fleet, rng, number, round_):
    """All users are gone afterwards: nothing can be had back from them."""
    session = make_session(count=8, timeout="2s", reconnect_grace="1s",
                           save_interval=rng.choice(["1s", "1h"]), sync=rng.choice(["interval", "always"]))
    users = [session.admin, *session.join("bert", "carl", "dora")]
    load = Load(fleet, users, rng, shared=session.uuids)
    end = time.monotonic() + rng.uniform(0.5, 2.5)
    while time.monotonic() < end:
        load.turn()
        fleet.pump(1)
    session.server.guarded = False
    session.server.send_signal(number)
    # What the server had passed on before it ended still arrives, and counts.
    while session.server.running:
        load.turn()
        fleet.pump(1)
    for _ in range(20):
        fleet.pump(5)
    status = session.server.wait_exit()
    assert number == signal.SIGKILL or status == 0
    for user in users:
        assert not user.fatal, user.describe()
        user.disconnect()
    session.server.start()
    newcomer = session.connect("newcomer").wait_state("active")
    print(f"{load.edits} edits, {len(load.seen)} counters, {len(load.added)} nodes")
    assert load.seen
    missing = load.missing_from(newcomer.nodes)
    assert not missing, f"{len(missing)} lost: {missing[:10]}"
    fleet.check_clean(newcomer)


def test_killed_again_and_again(make_session, fleet, rng):
    """Five kills, each soon after the start, with the same users going on."""
    session = make_session(count=6)
    users = [session.admin, *session.join("bert", "carl")]
    load = Load(fleet, users, rng, shared=session.uuids)
    for _ in range(5):
        end = time.monotonic() + rng.uniform(0.05, 0.6)
        while time.monotonic() < end:
            load.turn()
            fleet.pump(1)
        session.server.kill()
        session.server.start()
    assert all(u.state == "active" for u in users), fleet.describe()
    # One more edit of everything: what was on its way to a dying server is lost, as with any server.
    for user in users:
        for node_uuid in load.own[user] + load.shared:
            if node_uuid in user.nodes:
                load.edit(user, node_uuid)
    fleet.settle(*users)
    newcomer = session.join("newcomer")
    missing = load.missing_from(newcomer.nodes)
    assert not missing, f"{len(missing)} lost: {missing[:10]}"


def test_start_that_fails_after_a_kill(make_session, fleet, rng):
    """The log holds what was never synced, which is done first; then the start ends for another reason."""
    session = make_session(sync_interval="1min")
    server = session.server
    session.admin.push(new_uuid(rng), item("not synced", rng))
    fleet.settle(session.admin)
    server.kill()
    server.admin_password, path = None, os.path.join(server.data_dir, "admin-password")
    with open(path, "w", encoding="ascii") as stream:
        stream.write("readable by everybody")
    os.chmod(path, 0o644)
    server.start(wait=False)
    assert server.wait_exit() == 1, server.tail()
    assert "Cannot keep the admin password" in server.log()
    os.chmod(path, 0o600)
    server.start()


def test_torn_end_of_the_log(make_session, fleet, rng):
    """As after a power cut in the middle of a write: the tail is cut, the rest is served."""
    import os
    session = make_session(count=8)
    bert = session.join("bert")
    for i in range(20):
        bert.edit(session.uuids[1], lambda d: d.update(name=f"name {i}"))
    fleet.settle(session.admin, bert)
    for user in (bert, session.admin):
        user.disconnect()
    session.server.kill()
    folder = os.path.join(session.server.data_dir, "log")
    last = os.path.join(folder, sorted(os.listdir(folder))[-1])
    size = os.path.getsize(last)
    with open(last, "r+b") as stream:
        stream.truncate(size - rng.randrange(1, 40))
    session.server.start()
    newcomer = session.connect("newcomer").wait_state("active")
    assert newcomer.nodes.keys() >= set(session.uuids)
    assert newcomer.nodes[session.uuids[1]].data["name"].startswith("name ")
    newcomer.edit(session.uuids[1], lambda d: d.update(name="after"))
    fleet.check_same(session.server.address, newcomer)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
