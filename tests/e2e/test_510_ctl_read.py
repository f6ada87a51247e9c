#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that read: from the store of a running daemon and of a stopped one, and from files."""

import gzip
import os
import pickle
import sys
import types

import tap  # first: it says which packages are missing
import ctl
import pytest
import values
import wire


@pytest.fixture(params=["running", "stopped"])
def kept(request, make_session):
    """A session with a renamed node in it, a snapshot of the time before, and the daemon running or not."""
    session = make_session()
    server = session.server
    server.stop()
    server.start()
    session.fleet.wait_until(lambda: session.admin.state == "active", what="the admin to be back")
    renamed = session.uuids[1]
    data = dict(session.admin.nodes[renamed].data, name="Würfel")
    session.admin.push(renamed, data, dependencies=session.admin.nodes[renamed].dependencies)
    session.fleet.wait_until(lambda: ctl_node(server, renamed)["name"] == "Würfel", what="the change to be kept")
    session.nodes = {u: (list(n.dependencies), n.data) for u, n in session.admin.nodes.items()}
    if request.param == "stopped":
        server.stop()
    session.renamed = renamed
    return session


def ctl_node(server, uuid):
    return ctl.good("show", "now", uuid, "--json", "--data-dir", server.data_dir).json


def read_db(path):
    """As the library does: Repository.loads()."""
    with gzip.open(path, "rb") as stream:
        db = pickle.load(stream)
    nodes = [wire.parse(frames) for frames in db["nodes"]]
    return {n.uuid: (n.dependencies, n.data) for n in nodes}, db["users"]


def canonical(nodes):
    return {uuid: (dependencies, values.canonical(data)) for uuid, (dependencies, data) in nodes.items()}


def test_snapshots(kept):
    answer = ctl.good("snapshots", "--data-dir", kept.server.data_dir)
    assert "shutdown" in answer.text
    listed = ctl.good("snapshots", "--json", "--data-dir", kept.server.data_dir).json["snapshots"]
    assert [s["number"] for s in listed] == sorted((s["number"] for s in listed), reverse=True)
    assert listed[-1]["node_count"] == 9 and listed[-1]["intact"] and not listed[-1]["pinned"]


def test_show(kept):
    folder = "--data-dir", kept.server.data_dir
    text = ctl.good("show", *folder).text
    assert "Würfel" in text and "mesh 0" in text and "9 nodes" in text
    shown = ctl.good("show", "now", "--json", *folder).json
    assert shown["node_count"] == 9 and shown["damaged"] == 0
    assert {n["uuid"]: n["dependencies"] for n in shown["nodes"]} == {u: d for u, (d, _) in kept.nodes.items()}
    sizes = {n["uuid"]: n["bytes"] for n in shown["nodes"]}
    assert shown["bytes"] == sum(sizes.values())
    first = ctl.good("snapshots", "--json", *folder).json["snapshots"][-1]["name"]
    old = ctl.good("show", first, "--json", *folder).json
    assert "Würfel" not in {n["name"] for n in old["nodes"]} and old["node_count"] == 9
    for spec in (first.split("-")[1], "now"):
        ctl.good("show", spec, *folder)


def test_show_one(kept):
    folder = "--data-dir", kept.server.data_dir
    for name in ("Würfel", kept.renamed, kept.renamed[:8]):
        shown = ctl.good("show", "now", name, "--json", *folder).json
        assert shown["uuid"] == kept.renamed and shown["type"] == "Object"
    assert "  name: 'Würfel'\n" in ctl.good("show", "now", "Würfel", *folder).text
    ctl.refused(ctl.NOT_FOUND, "no node named", "show", "now", "nobody", "--json", *folder)


def test_tree(kept):
    text = ctl.good("show", "--tree", "--data-dir", kept.server.data_dir).text
    lines = text.splitlines()
    assert lines[0].startswith("all (Collection")
    assert any(line.startswith("    mesh 0") for line in lines)


def test_export(kept, tmp_path):
    path = tmp_path / "session.db"
    ctl.good("export", path, "--data-dir", kept.server.data_dir)
    nodes, users = read_db(path)
    assert canonical(nodes) == canonical(kept.nodes) and set(users) <= {"anna", "berta"}
    assert os.listdir(tmp_path) == ["session.db"]
    mask = os.umask(0o027)
    try:
        for verb, name in (("export", "closed.db"), ("report", "closed.html")):
            ctl.good(verb, tmp_path / name, "--data-dir", kept.server.data_dir)
            assert os.stat(tmp_path / name).st_mode & 0o777 == 0o640, "who may read it is its user's to say"
    finally:
        os.umask(mask)
    shown = ctl.good("show", path, "--json").json
    assert {n["uuid"] for n in shown["nodes"]} == set(kept.nodes)


def test_what_is_not_there(kept, tmp_path):
    folder = "--data-dir", kept.server.data_dir
    ctl.refused(ctl.NOT_FOUND, "no snapshot", "show", "99999", "--json", *folder)
    ctl.refused(ctl.NOT_FOUND, "nothing is kept from before", "show", "2001-01-01", "--json", *folder)
    ctl.refused(ctl.NOT_FOUND, "no session in", "show", "--data-dir", tmp_path / "nowhere")
    ctl.refused(ctl.NOT_FOUND, "No such file", "show", tmp_path / "nothing.db")
    ctl.refused(ctl.FAILED, "cannot write", "export", tmp_path / "nowhere" / "x.db", *folder)


# ---- files ----

def frames_of(nodes):
    return [wire.node_frames(uuid, "somebody", dependencies, data) for uuid, dependencies, data in nodes]


def write_db(path, nodes, **more):
    with gzip.open(path, "wb") as stream:
        pickle.dump({"nodes": frames_of(nodes), **more}, stream, protocol=4)


def test_db_of_the_add_on(tmp_path, rng):
    nodes = values.scene(25, rng, size=20000)
    path = tmp_path / "blender.db"
    users = {"anna": {"id": "anna", "admin": True, "metadata": {"selected_objects": {"a", "b"}, "view": (1.0, 2.0)}}}
    write_db(path, nodes, users=users)
    shown = ctl.good("show", path, "--json").json["nodes"]
    assert [(n["uuid"], n["dependencies"], n["name"]) for n in shown] == [(u, d, x["name"]) for u, d, x in nodes]
    assert {n["owner"] for n in shown} == {"COMMON"}


class OldServer:
    """Pickles as the old server's wrapper wrote them, with classes of the same names and shapes."""

    def __init__(self):
        self.repository = types.ModuleType("replication.repository")
        self.objects = types.ModuleType("replication.objects")
        self.package = types.ModuleType("replication")

        class GraphObjectStore:
            def __init__(self):
                self.store = {}

        class Node:
            __slots__ = ["uuid", "data", "instance", "dependencies", "owner", "last_commit", "state", "sender"]
        for module, cls in ((self.repository, GraphObjectStore), (self.objects, Node)):
            cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
            setattr(module, cls.__name__, cls)

    def __enter__(self):
        self.saved = dict(sys.modules)
        sys.modules.update({m.__name__: m for m in (self.package, self.repository, self.objects)})
        return self

    def __exit__(self, *_):
        for name in [n for n in sys.modules if n.startswith("replication")]:
            del sys.modules[name]

    def snapshot(self, nodes, protocol=4, **more):
        graph = self.repository.GraphObjectStore()
        for uuid, dependencies, data in nodes:
            node = self.objects.Node()
            node.uuid, node.dependencies, node.data, node.owner = uuid, dependencies, data, "anna"
            node.instance = node.last_commit = node.sender = None
            node.state = 2
            graph.store[uuid] = node
        content = {"timestamp": 1795439700.5, "datetime": "2026-11-23T14:15:00", "reason": "auto-save",
                   "initialized": True, "graph": graph, "users": {}, "metadata": {}, **more}
        return pickle.dumps(content, protocol=protocol)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_snapshot_of_the_old_server(tmp_path, rng, protocol):
    nodes = values.scene(9, rng)
    if protocol < 3:  # has no bytes of its own and writes a call for them
        nodes = [(u, d, {"name": x["name"], "type_id": x["type_id"]}) for u, d, x in nodes]
    with OldServer() as old:
        (tmp_path / "session_snapshot.pkl").write_bytes(old.snapshot(nodes, protocol))
    shown = ctl.good("show", tmp_path / "session_snapshot.pkl", "--json").json["nodes"]
    assert [(n["uuid"], n["dependencies"], n["name"]) for n in shown] == [(u, d, x["name"]) for u, d, x in nodes]


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_code_ever_runs(tmp_path, rng):
    trap = str(tmp_path / "trap")
    with OldServer() as old:
        cases = {"a.pkl": old.snapshot(values.scene(4, rng), metadata=Evil(trap)), "b.pkl": pickle.dumps(Evil(trap)),
                 "c.db": gzip.compress(pickle.dumps({"nodes": Evil(trap)})),
                 "d.pkl": b"cposix\nmkdir\n(V" + trap.encode() + b"\ntR.",
                 "e.db": gzip.compress(wire.dump({"nodes": [[wire.dump(2), b"u", b"o", wire.dump([]),
                                                             pickle.dumps(Evil(trap))]]}))}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        ctl.refused(ctl.FAILED, "no session that can be read", "show", tmp_path / name)
        assert not os.path.exists(trap)


def test_damaged_files(tmp_path, rng):
    nodes = values.scene(6, rng)
    write_db(tmp_path / "good.db", nodes)
    good = (tmp_path / "good.db").read_bytes()
    frames = frames_of(nodes)
    wrong = {"empty.db": b"", "text.db": b"hello", "cut.db": good[:-20], "cut2.db": good[:200],
             "no-nodes.db": gzip.compress(wire.dump({"nodes": []})), "other.db": gzip.compress(wire.dump([1, 2])),
             "twice.db": gzip.compress(wire.dump({"nodes": frames + frames[:1]})),
             "short.db": gzip.compress(wire.dump({"nodes": [frames[0][:4]]})),
             "commit.db": gzip.compress(wire.dump({"nodes": [[wire.dump(1), *frames[0][1:]]]})),
             "uuid.db": gzip.compress(wire.dump({"nodes": [[frames[0][0], b"", *frames[0][2:]]]})),
             "dependencies.db": gzip.compress(wire.dump({"nodes": [[*frames[0][:3], wire.dump(3), frames[0][4]]]})),
             "stop.pkl": b"\x80\x04.", "graph.pkl": wire.dump({"graph": {}})}
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        answer = ctl.refused(ctl.FAILED, name, "show", tmp_path / name)
        assert not answer.text
    for _ in range(60):
        broken = bytearray(gzip.decompress(good))
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        (tmp_path / "flip.db").write_bytes(gzip.compress(bytes(broken), 1))
        assert ctl.run("show", tmp_path / "flip.db").status in (ctl.OK, ctl.FAILED)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
