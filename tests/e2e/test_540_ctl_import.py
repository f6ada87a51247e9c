#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions from files: into an empty session, in place of another, with everyone connected, and without a daemon."""

import gzip
import os
import pickle
import resource
import signal
import subprocess
import sys
import zlib

import tap  # first: it says which packages are missing
import ctl
import pytest
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


@pytest.mark.parametrize("running", [True, False])
def test_an_export_is_what_the_add_on_writes(session, tmp_path, running):
    """All nodes as on the wire, locks included, and the users as in UpdateClientsState."""
    session.join("bérta")
    session.admin.lock(session.uuids[1])
    session.fleet.wait_until(lambda: session.admin.nodes[session.uuids[1]].owner == "anna", what="the lock")
    folder = "--data-dir", session.server.data_dir
    if not running:
        session.server.kill()
    ctl.good("export", tmp_path / "x.db", *folder)
    with gzip.open(tmp_path / "x.db") as stream:
        written = pickle.load(stream)
        assert not stream.read()
    assert set(written) == {"nodes", "users"}
    nodes = {n[1].decode(): n for n in written["nodes"]}
    assert set(nodes) == set(session.uuids) and all(pickle.loads(n[0]) == 2 for n in nodes.values())
    assert nodes[session.uuids[1]][2] == b"anna" and nodes[session.uuids[2]][2] == b"COMMON"
    assert all(pickle.loads(nodes[u][4]) == n.data and pickle.loads(nodes[u][3]) == n.dependencies
               for u, n in session.admin.nodes.items())
    assert written["users"] == {n: {"id": n, "admin": n == "anna", "latency": 0, "status": 2, "metadata": {}}
                                for n in ("anna", "bérta")}
    ctl.good("import", tmp_path / "x.db", "--data-dir", tmp_path / "copy")


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/scenekeep-was-here",)


def test_hostile_files(session, tmp_path):
    """One sentence, and nothing is changed, executed or filled."""
    folder = "--data-dir", session.server.data_dir
    files = {
        "noise.db": (bytes(range(256)) * 40, "is no session"),
        "empty.db": (b"", "is empty"),
        "cut.db": (gzip.compress(pickle.dumps({"nodes": []}) + os.urandom(5000))[:2000], "cut.db"),
        "call.db": (gzip.compress(pickle.dumps({"nodes": [Bomb()]})), "call.db"),
        "call.pkl": (pickle.dumps({"graph": Bomb()}), "call.pkl"),
        "deep.db": (gzip.compress(b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b"."), "deep.db"),
        "shared.db": (gzip.compress(b"\x80\x04]\x94" + b"(h\x00h\x00e" * 200 + b"."), "shared.db"),
        "other.db": (gzip.compress(pickle.dumps([1, 2, 3])), "other.db"),
        "frames.db": (gzip.compress(pickle.dumps({"nodes": [[b"", b"", b""]]})), "five frames"),
        "page.html": (b"<html>404</html>", "is no session"),
    }
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        ctl.refused(ctl.FAILED, words, "import", tmp_path / name, "--json", *folder)
    assert not os.path.exists("/tmp/scenekeep-was-here")
    ctl.refused(ctl.FAILED, "directory", "import", tmp_path, "--json", *folder)
    session.check_same()


@pytest.fixture
def bomb(tmp_path):
    """Gigabytes of zeroes in a few megabytes."""
    chunk, out = bytes(1 << 20), zlib.compressobj(1, zlib.DEFLATED, 31)
    with open(tmp_path / "bomb.db", "wb") as stream:
        for _ in range(3000):
            stream.write(out.compress(chunk))
        stream.write(out.flush())
    (tmp_path / "room").mkdir()
    return tmp_path / "bomb.db", tmp_path / "room"


def test_a_file_that_unpacks_to_more_than_may_be_written(session, bomb):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    done = subprocess.run([ctl.program(), "import", bomb[0], "--data-dir", session.server.data_dir], preexec_fn=limit,
                          env={**os.environ, "TMPDIR": str(bomb[1])}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == ctl.FAILED and ctl.is_one_sentence(done.stderr) and "cannot unpack" in done.stderr, done
    session.check_same()


@pytest.mark.skipif(os.getuid() != 0, reason="making a small disk needs root")
def test_a_file_that_unpacks_to_more_than_the_disk_has(session, bomb):
    """It is refused while there is room left for others."""
    script = ('mount -t tmpfs -o size=1200M tmpfs "$1" || exit 77; "$2" import "$3" --data-dir "$4"; status=$?; '
              'df --output=avail "$1" | tail -n 1; exit $status')
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", bomb[1], ctl.program(), bomb[0], session.server.data_dir],
                          env={**os.environ, "TMPDIR": str(bomb[1])}, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr}")
    assert done.returncode == ctl.FAILED and ctl.is_one_sentence(done.stderr) and "no room is left" in " ".join(done.stderr.split()), done
    session.check_same()


@pytest.mark.skipif(os.getuid() != 0, reason="making a small disk needs root")
def test_an_import_for_which_there_is_no_room(tmp_path):
    """It is not begun: half of it would be no session."""
    write_db(tmp_path / "x.db", [(f"{i:032x}", [], {"name": f"n{i}", "data": os.urandom(1 << 20)}) for i in range(24)])
    (tmp_path / "small").mkdir()
    script = ('mount -t tmpfs -o size=20M tmpfs "$1" || exit 77; "$2" import "$3" --data-dir "$1/session"; status=$?; '
              '"$2" show --json --data-dir "$1/session"; exit $status')
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", tmp_path / "small", ctl.program(), tmp_path / "x.db"],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr}")
    assert done.returncode == ctl.FAILED and ctl.is_one_sentence(done.stderr) and "nothing was changed" in " ".join(done.stderr.split()), done
    assert '"nodes": [\n  ]' in done.stdout, done


@pytest.mark.skipif(os.getuid() != 0, reason="only root writes what is somebody else's")
@pytest.mark.parametrize("verb", ["import", "restore"])
def test_what_root_does_stays_the_daemons(session, tmp_path, verb):
    """All that is written without a daemon belongs to who owns the session: its daemon could not be started otherwise."""
    at = "--data-dir", session.server.data_dir
    ctl.good("save", *at)
    session.admin.edit(session.uuids[0], lambda data: data.update(props={"a": 1}))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", *at).json["updates"] > 0, what="the edit")
    ctl.good("export", tmp_path / "x.db", "--at", "1", *at)
    session.server.stop()
    os.chmod(session.server.folder, 0o755)
    for base, folders, files in os.walk(session.server.data_dir):
        for name in (".", *folders, *files):
            os.chown(os.path.join(base, name), 65534, 65534)
    ctl.good(verb, *([tmp_path / "x.db"] if verb == "import" else ["1"]), *at)
    ctl.good("verify", "--all", *at)
    owners = {os.stat(os.path.join(base, name)).st_uid for base, folders, files in os.walk(session.server.data_dir)
              for name in (".", *folders, *files)}
    assert owners == {65534}


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
