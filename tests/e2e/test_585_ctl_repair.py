#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl repair`: a new, whole store beside a damaged one, of everything that is intact in it."""

import os
import shutil
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest
import rot

NEEDLE = "this will rot on the disk"


def at(folder):
    return "--data-dir", folder


def status(session):
    return ctl.good("status", "--json", *at(session.server.data_dir)).json


def taken(session, change):
    """Makes a change and waits until the server has it, durably."""
    seen = status(session)["store"]["sequence"]
    change()
    session.fleet.wait_until(lambda: status(session)["store"]["durable_sequence"] > seen, what="a change to be durable")


def edit(session, node, **values):
    taken(session, lambda: session.admin.edit(node, lambda data: data.update(values)))


def save(session):
    return ctl.good("save", "--json", *at(session.server.data_dir)).json["name"]


def values(folder, source="now"):
    """Name and size of every node that is there."""
    return {n["uuid"]: (n["name"], n["bytes"]) for n in ctl.good("show", source, "--json", *at(folder)).json["nodes"]}


def contents(folder):
    """Every file with its content and time, to see that nothing was touched."""
    return {os.path.join(base, n): (open(os.path.join(base, n), "rb").read(), os.stat(os.path.join(base, n)).st_mtime_ns)
            for base, _, names in os.walk(folder) for n in names if os.path.isfile(os.path.join(base, n))}


def repair(session, *options):
    """Repairs a damaged session, and checks what holds for every repair."""
    folder = session.server.data_dir
    before = contents(folder)
    answer = ctl.run("repair", "--json", *options, *at(folder))
    assert answer.status in (ctl.OK, ctl.DEGRADED) and not answer.error, answer
    said = answer.json
    assert said["damaged"] and said["in_place"] == ("--swap" in options)
    assert contents(said["old"]) == {p.replace(folder, said["old"], 1): c for p, c in before.items()}
    ctl.good("verify", "--all", *at(said["repaired"]))
    assert len(values(said["repaired"])) == said["node_count"]
    assert sorted(os.listdir(session.server.folder)) == sorted({"log", "cwd", "data", os.path.basename(said["old"]),
                                                                os.path.basename(said["repaired"])})
    return answer.status, said


def serve(session, make_server, folder):
    """Another server takes the folder; what a client gets of it."""
    server = make_server(start=False)
    os.rename(folder, server.data_dir)
    server.start()
    client = session.fleet.client(server.address, "visitor").connect()
    session.fleet.wait_active(client)
    return {u: n.state()[2] for u, n in client.nodes.items()}


@pytest.fixture
def story(make_session):
    """Three snapshots, with changes after each; the third node has something in it that can be found on the disk."""
    session = make_session(save_interval=3600, sync="always")
    node = session.uuids[2]
    session.names = [save(session)]
    edit(session, session.uuids[0], step=1)
    taken(session, lambda: session.admin.push(node, {"name": "Rotten", "type_id": "Mesh", "text": NEEDLE}))
    session.names.append(save(session))
    edit(session, session.uuids[0], step=2)
    edit(session, node, more=1)
    session.names.append(save(session))
    edit(session, session.uuids[0], step=3)
    edit(session, node, more=2)
    edit(session, session.uuids[0], step=4)
    session.expected = {u: n.state()[2] for u, n in session.admin.nodes.items()}
    session.server.kill()
    session.admin.close()
    session.before = values(session.server.data_dir)
    return session


def test_nothing_to_repair(story):
    before = contents(story.server.data_dir)
    answer = ctl.good("repair", *at(story.server.data_dir))
    assert "Nothing is damaged" in answer.text
    assert not ctl.good("repair", "--json", "--swap", *at(story.server.data_dir)).json["damaged"]
    assert contents(story.server.data_dir) == before
    assert sorted(os.listdir(story.server.folder)) == ["cwd", "data", "log"]


def test_several_in_one_second(story):
    """Each has a name of its own."""
    rot.flip(os.path.join(story.server.data_dir, "snapshots", story.names[1] + ".snap"), 200)
    made = [ctl.run("repair", "--json", *at(story.server.data_dir)).json["repaired"] for _ in range(3)]
    assert len(set(made)) == 3 and all(os.path.isdir(m) for m in made)


def test_a_torn_manifest_and_a_damaged_twin_lose_nothing(story, make_server):
    """Of the newest snapshot both files are damaged, of the one before only one is."""
    folder = os.path.join(story.server.data_dir, "snapshots")
    newest = os.path.join(folder, story.names[-1])
    os.truncate(newest + ".snap", 100)
    rot.flip(newest + ".twin", 200)
    rot.flip(os.path.join(folder, story.names[1] + ".snap"), 200)
    code, said = repair(story)
    assert code == ctl.DEGRADED and said["lost_snapshots"] == [story.names[-1]] and said["snapshots"] >= 2
    assert said["nodes"] == [] and said["lost_records"] == said["dropped_records"] == 0
    assert values(said["repaired"]) == story.before
    assert serve(story, make_server, said["repaired"]) == story.expected


def test_rotten_payloads(story, make_server):
    """The node is older than it was, and is named; the rest of the session and its history is as it was."""
    node = story.uuids[2]
    assert rot.content(story.server.data_dir, NEEDLE.encode()) >= 2
    code, said = repair(story)
    assert code == ctl.DEGRADED and said["lost_snapshots"] == []
    assert [(n["uuid"], n["state"]) for n in said["nodes"]] == [(node, "older")]
    assert said["nodes"][0]["name"] == "mesh 1"
    assert said["nodes"][0]["lost_changes"] >= 1 and said["lost_records"] >= 1 and said["dropped_records"] >= 1
    assert {u: v for u, v in values(said["repaired"]).items() if u != node} == \
        {u: v for u, v in story.before.items() if u != node}
    listed = ctl.good("snapshots", "--json", *at(said["repaired"])).json["snapshots"]
    old = ctl.good("snapshots", "--json", *at(story.server.data_dir)).json["snapshots"]
    assert [(s["time"], s["reason"]) for s in listed] == [(s["time"], s["reason"]) for s in old]
    got = serve(story, make_server, said["repaired"])
    assert {u: v for u, v in got.items() if u != node} == {u: v for u, v in story.expected.items() if u != node}
    assert "mesh 1" in got[node] and NEEDLE not in got[node]


def test_a_missing_segment(story, make_server):
    """What was in it is lost and said; changes that build on it are not applied to what they were not made for."""
    segments = rot.files(story.server.data_dir, "log")
    with_needle = [p for p in segments if NEEDLE.encode() in open(p, "rb").read()]
    os.unlink(with_needle[-1])
    code, said = repair(story)
    assert code == ctl.DEGRADED
    after = values(said["repaired"])
    assert len(after) + sum(n["state"] == "lost" for n in said["nodes"]) == len(story.before)
    changed = {u for u, v in story.before.items() if after.get(u) != v}
    assert changed <= {n["uuid"] for n in said["nodes"]} or said["lost_records"] > 0
    got = serve(story, make_server, said["repaired"])
    assert set(got) == set(after)


def test_only_the_journal_is_left(make_session, make_server):
    """Without any snapshot, what the journal has; the file that names the store is gone as well."""
    session = make_session(save_interval=3600, sync="always")
    edit(session, session.uuids[0], step=1)
    expected = {u: n.state()[2] for u, n in session.admin.nodes.items()}
    session.server.kill()
    session.admin.close()
    shutil.rmtree(os.path.join(session.server.data_dir, "snapshots"))
    os.unlink(os.path.join(session.server.data_dir, "store"))
    with open(rot.files(session.server.data_dir, "log")[-1], "ab") as stream:
        stream.write(b"\0" * 200 + b"not a record" * 40)
    code, said = repair(session)
    assert said["node_count"] == len(expected) and code in (ctl.OK, ctl.DEGRADED)
    assert serve(session, make_server, said["repaired"]) == expected


def test_swap(story, fleet):
    """In the place of the old one, which is kept; passwords are carried over; the next start serves it."""
    folder = story.server.data_dir
    with open(os.path.join(folder, "admin-password"), "w", encoding="ascii") as stream:
        stream.write("secret\n")
    rot.content(folder, NEEDLE.encode())
    _, said = repair(story, "--swap")
    assert said["repaired"] == folder and said["old"].startswith(folder + ".damaged-")
    with open(os.path.join(folder, "admin-password"), encoding="ascii") as stream:
        assert stream.read() == "secret\n"
    assert "Nothing is damaged" in ctl.good("repair", *at(folder)).text
    story.server.start()
    client = story.connect("berta")
    fleet.wait_active(client)
    assert client.nodes[story.uuids[0]].data["step"] == 4
    ctl.good("snapshots", *at(folder))
    assert str(len(story.names)) in ctl.good("status", *at(folder)).text


def test_what_people_read(story):
    rot.content(story.server.data_dir, NEEDLE.encode())
    answer = ctl.run("repair", *at(story.server.data_dir))
    assert answer.status == ctl.DEGRADED and not answer.error, answer
    assert "mesh 1" in answer.text and "as of" in answer.text and "repair --swap" in answer.text
    assert all(len(line) <= 80 or ".repaired-" in line for line in answer.text.splitlines())


def test_rot_anywhere(make_session, rng, tmp_path):
    """Whatever is damaged, the result is whole, and what is said to be as it was is."""
    session = make_session(save_interval=3600, sync="always", segment_size="1M")
    for step in range(4):
        for node in rng.sample(session.uuids, 4):
            session.admin.edit(node, lambda data, step=step: data.update(step=step, filler=bytes(rng.randrange(200_000))))
        edit(session, session.uuids[0], mark=step)
        name = save(session)
    edit(session, session.uuids[1], last=True)
    session.server.kill()
    before, saved = values(session.server.data_dir), values(session.server.data_dir, name)
    # The end of a journal that was not closed may be gone without a trace.
    sure = {u for u in before if before[u] == saved[u]}
    for number in range(12):
        folder = tmp_path / f"rotten {number}"
        shutil.copytree(session.server.data_dir, folder, ignore=shutil.ignore_patterns("control"))
        for _ in range(rng.randrange(1, 8)):
            path = rng.choice(rot.files(folder, "log") + rot.files(folder, "snapshots"))
            kind = rng.choice(["flip", "flip", "flip", "cut", "zero", "gone"])
            size = os.path.getsize(path)
            if kind == "flip" and size > 0:
                rot.flip(path, rng.randrange(size))
            elif kind == "cut":
                os.truncate(path, rng.randrange(size + 1))
            elif kind == "zero" and size > 0:
                with open(path, "r+b") as stream:
                    stream.seek(rng.randrange(size) // 4096 * 4096)
                    stream.write(bytes(4096))
            elif kind == "gone":
                os.unlink(path)
        answer = ctl.run("repair", "--json", *at(folder))
        assert answer.status in (ctl.OK, ctl.DEGRADED, ctl.FAILED) and (not answer.error or ctl.is_one_sentence(answer.error)), answer
        if answer.status == ctl.FAILED:
            assert "go back to a backup" in answer.sentence, answer
            continue
        said = answer.json
        if not said["damaged"]:
            after = values(folder)
            assert {u for u in sure if after.get(u) != before[u]} == set(), (number, said)
            continue
        assert ctl.run("verify", "--all", *at(said["repaired"])).status == ctl.OK
        after, named = values(said["repaired"]), {n["uuid"] for n in said["nodes"]}
        assert set(after) <= set(before) or said["lost_records"] > 0
        if said["lost_records"] + said["dropped_records"] == 0 and not said["lost_snapshots"]:
            assert {u for u in sure if after.get(u) != before[u]} <= named, (number, said)


def test_refusals(make_session, tmp_path):
    """Nothing is begun while somebody serves it, where there is nothing, and where nothing is left."""
    session = make_session()
    ctl.good("save", *at(session.server.data_dir))
    before = sorted(os.listdir(session.server.folder))
    ctl.refused(ctl.REFUSED, "is being served", "repair", "--json", *at(session.server.data_dir))
    session.server.stop()
    ctl.refused(ctl.NOT_FOUND, "no session in", "repair", *at(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    ctl.refused(ctl.NOT_FOUND, "nothing in", "repair", "--json", *at(tmp_path / "empty"))
    for name in rot.files(session.server.data_dir, "log") + rot.files(session.server.data_dir, "snapshots"):
        os.truncate(name, 40)
    ctl.refused(ctl.FAILED, "go back to a backup", "repair", "--json", *at(session.server.data_dir))
    assert sorted(os.listdir(session.server.folder)) == before


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
