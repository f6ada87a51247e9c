#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened, what is different, and is it intact: beside a running daemon and without one."""

import os
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest
import rot


@pytest.fixture(params=["running", "stopped"])
def told(request, make_session):
    """A session in which something of everything has happened, with a snapshot of the time before."""
    session = make_session()
    session.folder = "--data-dir", session.server.data_dir
    berta = session.join("berta")
    session.before = ctl.good("save", "--json", *session.folder).json["name"]
    session.edited, session.deleted, session.added = session.uuids[1], session.uuids[8], session.uuids[0][::-1]
    session.admin.edit(session.edited, lambda data: data.update(name="changed", props={"a": 1}))
    session.fleet.wait_until(lambda: berta.nodes[session.edited].data["name"] == "changed", what="the edit")
    berta.lock(session.uuids[3])
    session.fleet.wait_until(lambda: session.admin.nodes[session.uuids[3]].owner == "berta", what="the lock")
    session.admin.commit(session.uuids[3], b"\x80\x04}.")  # too late: it is berta's
    berta.push(session.added, {"type_id": "Text", "name": "note"}, [])
    session.fleet.wait_until(lambda: session.added in session.admin.nodes, what="the new node")
    session.admin.delete(session.deleted)
    session.fleet.wait_until(lambda: session.deleted not in berta.nodes, what="the deletion")
    if request.param == "stopped":
        session.server.stop()
    return session


def records(session, *arguments):
    return ctl.good("log", "--json", *arguments, *session.folder).json["records"]


def test_log(told):
    log = records(told, "--limit", 1000)
    assert [r["sequence"] for r in log] == sorted(r["sequence"] for r in log)
    told_of = [(r["user"], r["action"], r["uuid"]) for r in log]
    assert ("anna", "changed", told.edited) in told_of
    assert ("anna", "deleted", told.deleted) in told_of
    assert ("berta", "sent whole", told.added) in told_of
    assert ("berta", "locked for berta", told.uuids[3]) in told_of
    assert ("anna", "began to fill the session", None) in told_of
    refused = [r for r in log if r["refused"]]
    assert [(r["user"], r["uuid"]) for r in refused] == [("anna", told.uuids[3])]
    text = ctl.good("log", *told.folder).text
    assert "refused: locked by" in text and "changed" in text


def test_log_filters(told):
    assert {r["user"] for r in records(told, "--user", "berta")} == {"berta"}
    assert records(told, "--user", "nobody") == []
    assert [r["action"] for r in records(told, told.edited)] == ["sent whole", "changed"]
    assert [r["action"] for r in records(told, "changed")] == ["sent whole", "changed"]
    assert [r["action"] for r in records(told, told.deleted)] == ["sent whole", "deleted"]
    log = records(told, "--limit", 1000)
    assert records(told, "--limit", 3) == log[-3:]
    middle = log[len(log) // 2]["time"]
    assert records(told, "--since", middle, "--limit", 1000) == [r for r in log if r["time"] >= middle]
    assert records(told, "--until", middle, "--limit", 1000) == [r for r in log if r["time"] <= middle]
    assert records(told, "--until", "2001-01-01") == []
    ctl.refused(ctl.NOT_FOUND, "no node named", "log", "zoe", *told.folder)
    ctl.refused(ctl.USAGE, "not a time", "log", "--since", "soon", *told.folder)
    ctl.refused(ctl.USAGE, "not a number", "log", "--limit", "0", *told.folder)


def test_diff(told):
    found = ctl.good("diff", told.before, "now", "--json", *told.folder).json["differences"]
    assert {(d["kind"], d["uuid"]) for d in found} == {("changed", told.edited), ("removed", told.deleted),
                                                       ("added", told.added)}
    assert ctl.good("diff", told.before, "--json", *told.folder).json["differences"] == found
    assert "There is no difference." in ctl.good("diff", "now", "now", *told.folder).text
    text = ctl.good("diff", told.before, *told.folder).text
    assert "note" in text and "removed" in text


def test_diff_of_a_node(told):
    changes = ctl.good("diff", told.before, "now", told.edited, "--json", *told.folder).json["changes"]
    assert {c["path"]: (c["was"], c["now"]) for c in changes} == {
        "name": ("'object 0'", "'changed'"), "props.a": (None, "1")}
    assert "props.a" in ctl.good("diff", told.before, "now", "changed", *told.folder).text
    ctl.refused(ctl.NOT_FOUND, "no node named", "diff", told.before, "now", "zoe", *told.folder)


def test_intact(told):
    for verb in (["verify"], ["verify", told.before], ["drill"], ["scrub"]):
        answer = ctl.good(*verb, "--json", *told.folder).json
        assert answer["damaged"] == 0, (verb, answer)
        assert "damaged" in ctl.good(*verb, *told.folder).text or "digest is right" in ctl.good(*verb, *told.folder).text
    checked = ctl.good("verify", told.before, "--json", *told.folder).json["checked"]
    assert [(c["snapshot"], c["nodes"]) for c in checked] == [(told.before, 9)]
    everything = ctl.good("verify", "--all", "--json", *told.folder).json["checked"]
    assert len(everything) >= 2 and everything[-1]["snapshot"] == "the whole log"
    ctl.refused(ctl.NOT_FOUND, "no snapshot", "verify", "4711", "--json", *told.folder)


@pytest.mark.parametrize("killed", [False, True])
def test_verify_before_the_first_snapshot(make_session, killed):
    """What is kept is then in the log alone, and that can be verified, also when the daemon is gone."""
    session = make_session()
    folder = "--data-dir", session.server.data_dir
    if killed:
        session.server.kill()
    checked = ctl.good("verify", "--json", *folder).json
    assert checked["damaged"] == 0 and [c["snapshot"] for c in checked["checked"]] == ["the whole log"]
    assert checked["checked"][0]["nodes"] > 9
    ctl.refused(ctl.NOT_FOUND, "no snapshots yet", "verify", "latest", "--json", *folder)


def test_damage_is_found(make_session, rng):
    session = make_session()
    folder = "--data-dir", session.server.data_dir
    session.server.stop()
    log = os.path.join(session.server.data_dir, "log")
    name = os.path.join(log, sorted(os.listdir(log))[0])
    payload = session.admin.nodes[session.uuids[0]].data["vertices"]["co"]
    with open(name, "r+b") as stream:
        place = stream.read().index(payload)
        stream.seek(place)
        stream.write(bytes([payload[0] ^ 1]))
    before = open(name, "rb").read()
    for verb in (["verify"], ["verify", "--all"], ["drill"], ["scrub"]):
        answer = ctl.run(*verb, "--json", *folder)
        assert answer.status == ctl.DEGRADED and answer.json["damaged"] >= 1, (verb, answer)
        assert ctl.run(*verb, *folder).status == ctl.DEGRADED
    answer = ctl.run("export", os.path.join(session.server.folder, "x.db"), *folder)
    assert answer.status == ctl.DEGRADED and not os.path.exists(os.path.join(session.server.folder, "x.db"))
    assert open(name, "rb").read() == before, "verification changed something"


def test_damage_behind_the_snapshot_is_told(session):
    """The snapshot can be restored, and yet not all is well."""
    folder = "--data-dir", session.server.data_dir
    ctl.good("save", *folder)
    for i in range(3):
        session.admin.edit(session.uuids[0], lambda data, i=i: data.update(note=f"number {i} of them"))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", *folder).json["updates"] == 3, what="the edits")
    session.server.guarded = False
    session.server.kill()
    for path in rot.files(session.server.data_dir, "log"):
        with open(path, "rb") as stream:
            data = stream.read()
        at = data.find(b"number 1 of them")
        if at >= 0:
            rot.flip(path, data.rindex(session.uuids[0].encode(), 0, at))
    for verb in ("verify", "drill"):
        answer = ctl.run(verb, "--json", *folder)
        assert answer.status == ctl.DEGRADED and answer.json["damaged"] == 0 and answer.json["problems"], answer
        assert [c["nodes"] for c in answer.json["checked"]] == [9]
        text = ctl.run(verb, *folder).flat
        assert "What was checked is right, and there is damage elsewhere" in text and "Every digest" not in text
        assert "left in place; check the disk" in text and "aside" not in text


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
