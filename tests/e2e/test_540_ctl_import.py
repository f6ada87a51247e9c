#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions from files: into an empty session, in place of another, with everyone connected, and without a daemon."""

import gzip
import os
import pickle
import sys

import tap  # first: it says which packages are missing
import ctl
import values
import wire


def write_db(path, nodes):
    with gzip.open(path, "wb") as stream:
        pickle.dump({"nodes": [wire.node_frames(u, "anna", d, x) for u, d, x in nodes], "users": {}}, stream, protocol=4)


def want(nodes):
    return {u: (list(d), values.canonical(x)) for u, d, x in nodes}


def content(client):
    return {u: (list(n.dependencies or []), n.state()[2]) for u, n in client.nodes.items()}


def test_into_an_empty_session(server, fleet, rng, tmp_path):
    nodes = values.scene(25, rng, size=3000)
    write_db(tmp_path / "a.db", nodes)
    waiting = fleet.client(server.address, "waits").connect().wait_state("lobby")
    answer = ctl.good("import", tmp_path / "a.db", "--json", "--data-dir", server.data_dir).json
    assert answer["imported"] == 25 and answer["removed"] == 0
    fleet.wait_active(waiting)
    fleet.wait_until(lambda: content(waiting) == want(nodes), what="the imported scene")
    later = fleet.client(server.address, "comes later").connect()
    fleet.wait_active(later)
    assert content(later) == want(nodes)
    server.restart()
    fleet.wait_active(waiting, later)
    fleet.check_same(server.address, waiting, later)


def test_in_place_of_another(session, rng, tmp_path):
    berta = session.join("berta")
    before = content(berta)
    kept = session.uuids[1]
    nodes = values.scene(6, rng) + [(kept, [], {"name": "other", "type_id": "Object"})]
    write_db(tmp_path / "b.db", nodes)
    folder = "--data-dir", session.server.data_dir
    answer = ctl.good("import", tmp_path / "b.db", "--json", *folder).json
    assert answer["imported"] == 7 and answer["removed"] == 8
    session.fleet.wait_until(lambda: all(content(u) == want(nodes) for u in session.users), what="the other scene")
    ctl.good("restore", "--undo", *folder)
    session.fleet.wait_until(lambda: all(content(u) == before for u in session.users), what="the scene before")
    session.check_same()


def test_without_a_daemon(make_server, fleet, rng, tmp_path):
    server = make_server(start=False)
    nodes = values.scene(25, rng)
    write_db(tmp_path / "a.db", nodes)
    folder = "--data-dir", server.data_dir
    assert ctl.good("import", tmp_path / "a.db", "--json", *folder).json["imported"] == 25
    other = values.scene(4, rng) + nodes[:2]
    write_db(tmp_path / "b.db", other)
    assert ctl.good("import", tmp_path / "b.db", "--json", *folder).json == {
        "imported": 6, "bytes": sum(len(wire.dump(x)) for _, _, x in other), "removed": 23}
    server.start()
    client = fleet.client(server.address, "first").connect()
    fleet.wait_active(client)
    assert content(client) == want(other)


def test_round_trip(session, tmp_path):
    folder = "--data-dir", session.server.data_dir
    before = content(session.admin)
    ctl.good("export", tmp_path / "x.db", *folder)
    session.admin.delete(session.uuids[0])
    session.fleet.wait_until(lambda: session.uuids[0] not in session.admin.nodes, what="the deletion")
    ctl.good("import", tmp_path / "x.db", *folder)
    session.fleet.wait_until(lambda: content(session.admin) == before, what="what was exported")
    session.check_same()


def test_a_bad_file_changes_nothing(session, tmp_path):
    nodes = [(session.uuids[0], [], {"name": "x"}), ("", [], {"name": "y"})]
    write_db(tmp_path / "bad.db", nodes)
    folder = "--data-dir", session.server.data_dir
    ctl.refused(ctl.FAILED, "node 2 has a uuid", "import", tmp_path / "bad.db", "--json", *folder)
    ctl.refused(ctl.NOT_FOUND, "No such file", "import", tmp_path / "none.db", *folder)
    session.check_same()
    assert len(os.listdir(os.path.join(session.server.data_dir, "snapshots"))) == 0


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
