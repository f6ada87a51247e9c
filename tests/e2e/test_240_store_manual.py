#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that the server has written is what scenekeep-store(5) says: read with the manual's own tables."""

import json
import os
import pickle
import re
import signal
import sys

import tap  # first: it says which packages are missing
import rot
import store_manual
from addon import Addon
from values import canonical, item, mesh, new_uuid


def live(session, rng):
    """Records of every kind, whole and lean snapshots, content segments, a removed snapshot, two starts."""
    server, fleet = session.server, session.fleet
    anna, bert = session.admin, session.join("bert ✓")
    addons = Addon(anna), Addon(bert)
    for turn in range(4):
        anna.edit(session.uuids[turn], lambda d: d.update(name=f"name {turn}"))
        bert.push(new_uuid(rng), mesh(f"mesh {turn}", rng, vertices=500))
        added = new_uuid(rng)
        anna.push(added, item("to be deleted", rng), dependencies=[session.uuids[0]])
        fleet.wait_until(lambda u=added: u in bert.nodes)
        anna.delete(added)
        bert.lock(session.uuids[5])
        addons[1].move_view()
        addons[0].say(f"message {turn}")
        addons[0].add_task(f"task {turn}")
        fleet.wait_until(lambda u=added: u not in bert.nodes and bert.nodes[session.uuids[5]].owner == bert.name)
        # Equal data is in the log once.
        anna.push(session.uuids[6], dict(anna.nodes[session.uuids[7]].data))
        fleet.settle(anna, bert)
        mark = server.mark()
        server.send_signal(signal.SIGUSR1)
        server.wait_log(r"Session saved to disk \(reason: manual\)", fleet=fleet, mark=mark)
        if turn == 1:
            server.restart()
            fleet.wait_active(anna, bert)
    anna.edit(session.uuids[8], lambda d: d.update(name="the last"))
    addons[0].delete_task("task 0")
    session.check_same()
    scene = anna.scene()
    mark = server.mark()
    bert.disconnect()
    server.wait_log("bert ✓ has left", fleet=fleet, mark=mark)
    server.stop()
    return {u: (s[1], s[2]) for u, s in scene.items()}


def check_record(record):
    """What the manual says of its kind."""
    meta = record.meta
    if record.flags & 1:
        meta = meta[1 + meta[0]:]
    if record.kind == 1:
        assert re.fullmatch("COMMON|anna|bert ✓", meta[1:1 + meta[0]].decode())
        assert isinstance(pickle.loads(meta[1 + meta[0]:]), (list, type(None)))
    elif record.kind == 2:
        assert isinstance(pickle.loads(meta), (list, type(None)))
    elif record.kind == 4:
        owner, *uuids = store_manual.short_texts(meta)
        assert owner.decode() in ("COMMON", "anna", "bert ✓") and all(len(u) == 36 for u in uuids) and uuids
    elif record.kind == 5:
        assert meta in (b"\1", b"\2", b"\3")
    elif record.kind == 6:
        assert meta[0] == 1 and meta[1] < 32 and meta[2] in (1, 2, 10)
        routing_id, address = store_manual.short_texts(meta[19:])
        assert len(routing_id) == 16 and address == b"127.0.0.1"
    elif record.kind == 9:
        assert json.loads(meta[16:])["message"].startswith("message ")
    elif record.kind == 10:
        assert not meta or json.loads(meta)["title"].startswith("task ")
    elif record.kind == 11:
        assert len(meta) % 16 == 25 % 16 and meta[24] in (0, 1)
    else:
        assert not meta


def test_everything_is_as_the_manual_says(make_session, rng):
    layout = store_manual.tables()
    # Small segments, so that there are several; few snapshots, so that some are removed.
    session = make_session(segment_size="1M", max_backups=3, keep_hourly=0, keep_daily=0, keep_weekly=0, count=60,
                           reconnect_grace="1s", timeout="2s")
    expected = live(session, rng)
    folder = session.server.data_dir
    with open(os.path.join(folder, "store"), "rb") as stream:
        data = stream.read()
    identity = layout["store"].read(data)
    assert identity.end == len(data) == 128 and identity.number("flags") == 1

    by_digest, by_sequence, kinds = {}, {}, set()
    for path in rot.files(folder, "log"):
        header, records = store_manual.read_segment(path, layout)
        assert header.raw("id of the store") == identity.raw("store id")
        is_journal = header.number("type") == 1
        for record in records:
            kinds.add(record.kind)
            check_record(record)
            if record.payload is not None:
                by_digest[record.fields.raw("digest of the payload")] = record.payload
            if record.kind < 61440:
                assert is_journal
                by_sequence[record.sequence] = record
    sequences = sorted(by_sequence)
    assert sequences == list(range(sequences[0], sequences[-1] + 1)), "numbers are missing"
    assert identity.number("durable") == sequences[-1]
    described = {int(n) for n in re.findall(r"^\.It (\d+)$", store_manual.manual(), re.M)}
    assert kinds <= described and kinds >= {1, 2, 3, 4, 6, 7, 8, 9, 10, 61441}, kinds

    manifests = {}
    for path in rot.files(folder, "snapshots"):
        if path.endswith((".snap", ".base")):
            header, entries, digest = store_manual.read_manifest(path, layout)
            assert header.raw("store id") == identity.raw("store id")
            assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-0*{header.number('number')}", os.path.basename(path)[:-5])
            manifests[header.number("number")] = header, entries, digest
    newest = max(manifests)
    assert len(manifests) > 2 and any(m[0].number("previous number") for m in manifests.values())
    assert manifests[newest][0].number("sequence") == sequences[-1], "the last snapshot stands for everything"
    nodes, number = {}, newest
    while number:
        header, entries, _ = manifests[number]
        for key, entry in entries.items():
            nodes.setdefault(key, entry)
        number = header.number("previous number")
        assert not number or manifests[number][2] == header.raw("the digest that closes that manifest")
    nodes = {key: entry for key, entry in nodes.items() if not entry.number("flags")}
    header = manifests[newest][0]
    assert header.number("nodes in the snapshot") == len(nodes)
    read = {}
    for key, entry in nodes.items():
        data = by_digest[entry.raw("digest of the data")]
        assert len(data) == entry.number("size of the data")
        read[key] = tuple(pickle.loads(entry.raw("pickle of the dep")) or ()), canonical(pickle.loads(data))
    assert read == expected

    keys = set(re.findall(r"'(\w+)':", re.search(r"^\.Bd.*\n(\{'version'.*?)^\.Ed$", store_manual.manual(), re.M | re.S).group(1)))
    state = pickle.loads(header.raw("state of the session"))
    assert set(state) <= keys and state["version"] == 2 and state["running"] is True
    assert [json.loads(m[2])["message"] for m in state["chat"]] == [f"message {i}" for i in range(4)]
    for name in ("session_metadata.json", "restarts.json"):
        section = store_manual.manual().split(f".Ss {name}")[1].split(".El")[0]
        told = set(re.findall(r"\w+", " ".join(re.findall(r"^\.It (.*)$", section, re.M))))
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            assert set(json.load(stream)) == told, name
    known = re.findall(r"^\.It Pa ([\w.-]+)", store_manual.manual(), re.M)
    assert {n for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))} <= set(known)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
