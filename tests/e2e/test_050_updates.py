#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and Commits on their way from one user to all others."""

import sys

import tap  # first: it says which packages are missing
import pytest

import deltas
import wire
from client import DATA
from values import item, mesh, new_uuid
from wire import COMMON, Kind


@pytest.fixture
def trio(session):
    bert, carl = session.join("bert", "carl", record=True)
    return session.admin, bert, carl


def data_messages(client):
    return [frames for channel, frames in client.recorded if channel == DATA]


@pytest.mark.reference
def test_new_node_reaches_all_others(session, fleet, trio):
    anna, bert, carl = trio
    fresh = new_uuid()
    bert.push(fresh, item("fresh"), [session.uuids[0]])
    fleet.wait_until(lambda: fresh in anna.nodes and fresh in carl.nodes)
    assert not data_messages(bert), "an update came back to its sender"
    session.check_same()


def test_frames_are_relayed_byte_for_byte(session, fleet, trio):
    """Also where a re-encoding would look different: other protocols, no frames, needless memos."""
    import pickle
    anna, bert, carl = trio
    node_uuid = new_uuid()
    data = item("odd")
    bert.nodes[node_uuid] = anna.nodes[session.uuids[0]]
    sent = []
    for protocol in (4, 3, 2, 4):
        frames = [wire.dump(2), node_uuid.encode(), COMMON.encode(), pickle.dumps([], protocol),
                  pickle.dumps(data, protocol)]
        bert.send(DATA, frames)
        sent.append(frames)
    payload = pickle.dumps({"values_changed": {"root['name']": {"new_value": "even"}}}, 3)
    frames = [b"K\x01.", node_uuid.encode(), b"].", payload]
    bert.send(DATA, frames)
    sent.append(frames)
    frames = wire.commit_frames(node_uuid, None, deltas.raw_delta({"dictionary_item_added": {"root['x']": 1}}))
    bert.send(DATA, frames)
    sent.append(frames)
    fleet.wait_until(lambda: len(data_messages(carl)) == len(sent))
    assert data_messages(carl) == sent
    fleet.wait_until(lambda: node_uuid in anna.nodes and anna.nodes[node_uuid].data.get("x") == 1)
    del bert.nodes[node_uuid]
    session.check_same(anna, carl)


EDITS = {
    "value": lambda d: d.update(name="other"),
    "nested value": lambda d: d["modifiers"][0].update(levels=4),
    "new key": lambda d: d["props"].update(new={"a": [1, (2, 3)], 5: None}),
    "lost key": lambda d: d.pop("parent_uid"),
    "type": lambda d: d.update(parent_uid="somebody"),
    "type without value": lambda d: d.update(location=tuple(d["location"])),
    "append": lambda d: d["history"].append("one"),
    "grow": lambda d: d["modifiers"].append({"type": "BEVEL", "width": 0.1}),
    "shrink": lambda d: d["modifiers"].pop(0),
    "tuple": lambda d: d.update(rotation_euler=(1.0,) + d["rotation_euler"][1:]),
    "bytes": lambda d: d.update(blob=bytes(range(256)) * 100),
    "floats": lambda d: d.update(location=[0.5, -0.0, float("inf")]),
    "big int": lambda d: d["props"].update(big=1 << 200, small=-(1 << 90)),
    "text": lambda d: d["props"].update({"schlüssel ✓": "wert \U0001F600"}),
    "int key": lambda d: d["props"].update({0: "zero", -3: "minus"}),
    "set": lambda d: d["props"].update(members={"a", "b"}),
    "everything": lambda d: (d.clear(), d.update(type_id="Object", fresh=True)),
}


@pytest.mark.reference
@pytest.mark.parametrize("edit", EDITS)
def test_kinds_of_change(make_session, fleet, edit):
    object_id = new_uuid()
    session = make_session(nodes=[(object_id, [], item("thing"))])
    bert = session.join("bert", record=True)
    frames = session.admin.edit(object_id, EDITS[edit])
    fleet.wait_until(lambda: data_messages(bert))
    assert wire.parse(data_messages(bert)[0])[:3] == wire.parse(frames)[:3]
    assert bert.nodes[object_id].state() == session.admin.nodes[object_id].state()
    session.check_same()


@pytest.mark.reference
@pytest.mark.skipif(deltas.KNOWS_OPCODES, reason="only for a deepdiff that does not write opcodes itself")
def test_opcodes_as_newer_clients_write_them(make_session, fleet):
    object_id = new_uuid()
    session = make_session(nodes=[(object_id, [], {"type_id": "Action", "frames": [1, 2, 3, 4, 5, 6]})])
    bert = session.join("bert")
    op = deltas.Opcode
    session.admin.commit(object_id, deltas.raw_delta({"_iterable_opcodes": {"root['frames']": [
        op("delete", 0, 2, 0, 0, None, []), op("equal", 2, 4, 0, 2), op("insert", 4, 4, 2, 3, None, [9]),
        op("equal", 4, 6, 3, 5)]}}))
    fleet.wait_until(lambda: bert.nodes[object_id].data["frames"] == [3, 4, 9, 5, 6])
    session.check_same()


@pytest.mark.reference
def test_order_ignoring_changes(make_session, fleet):
    object_id = new_uuid()
    session = make_session(nodes=[(object_id, [], {"type_id": "Collection", "objects": ["u1", "u2"],
                                                  "colors": [0.0, 0.0, 1.5]})])
    bert = session.join("bert")

    def link(data):
        data["objects"] = ["u1", "u3", "u2", "u4"]
    session.admin.edit(object_id, link, ignore_order=True)

    def unlink(data):
        data["objects"].remove("u2")
        data["colors"] = [1.5, 1.5, 1.5]
    session.admin.edit(object_id, unlink, ignore_order=True)
    fleet.wait_until(lambda: bert.nodes[object_id].data == session.admin.nodes[object_id].data)
    session.check_same()


@pytest.mark.reference
def test_dependencies_follow_each_update(session, fleet, trio):
    anna, bert, carl = trio
    mesh_id, object_id, other = session.uuids[:3]
    bert.edit(object_id, lambda d: d.update(name="a"), dependencies=[mesh_id, other])
    fleet.wait_until(lambda: carl.nodes[object_id].dependencies == [mesh_id, other])
    bert.push(object_id, bert.nodes[object_id].data, dependencies=[other])
    fleet.wait_until(lambda: carl.nodes[object_id].dependencies == [other])
    session.check_same()


@pytest.mark.reference
def test_whole_node_does_not_change_the_owner(session, fleet, trio):
    anna, bert, carl = trio
    mesh_id = session.uuids[0]
    bert.lock(mesh_id)
    fleet.wait_until(lambda: all(c.nodes[mesh_id].owner == "bert" for c in trio))
    frames = wire.node_frames(mesh_id, COMMON, [], {"type_id": "Mesh", "name": "whole"})
    bert.send(DATA, frames)
    bert.nodes[mesh_id].data = {"type_id": "Mesh", "name": "whole"}
    bert.nodes[mesh_id].dependencies = []
    fleet.wait_until(lambda: carl.nodes[mesh_id].data["name"] == "whole")
    assert carl.nodes[mesh_id].owner == "bert"
    session.check_same()


def test_node_may_be_born_locked(session, fleet, trio):
    anna, bert, carl = trio
    fresh = new_uuid()
    bert.push(fresh, item("mine"), owner="bert")
    fleet.wait_until(lambda: fresh in carl.nodes)
    assert carl.nodes[fresh].owner == "bert"
    session.check_same()


def test_commit_for_an_unknown_node_is_not_passed_on(session, fleet, trio):
    anna, bert, carl = trio
    payload = deltas.raw_delta({"values_changed": {"root['name']": {"new_value": "x"}}})
    bert.send(DATA, wire.commit_frames(new_uuid(), [], payload))
    bert.edit(session.uuids[1], lambda d: d.update(name="known"))
    fleet.wait_until(lambda: carl.nodes[session.uuids[1]].data["name"] == "known")
    session.check_same()


ABORTING = {
    "index into a tuple": {"iterable_item_added": {"root['rotation_euler'][0]": 1.0}},
    "no new value": {"values_changed": {"root['name']": {}}},
    "set of a list": {"set_item_added": {"root['history']": {1}}},
    "category is no dict": {"values_changed": [1]},
    "items at no container": {"iterable_items_added_at_indexes": {"root['name_']": {0: 1}, "root['number']": {0: 1}}},
}


@pytest.mark.parametrize("kind", ABORTING)
def test_delta_that_aborts_goes_nowhere(make_session, fleet, kind):
    object_id = new_uuid()
    session = make_session(nodes=[(object_id, [], {**item("thing"), "number": 5})])
    bert, carl = session.join("bert", "carl", record=True)
    mark = session.server.mark()
    bert.send(DATA, wire.commit_frames(object_id, [], deltas.raw_delta(ABORTING[kind])))
    bert.edit(object_id, lambda d: d.update(name="after"))
    fleet.wait_until(lambda: carl.nodes[object_id].data["name"] == "after")
    assert len(data_messages(carl)) == 1
    session.server.wait_log("bert", fleet=fleet, mark=mark)
    session.check_same()


@pytest.mark.reference
def test_delta_with_entries_that_are_skipped_is_passed_on(make_session, fleet):
    object_id = new_uuid()
    session = make_session(nodes=[(object_id, [], item("thing"))])
    bert, carl = session.join("bert", "carl", record=True)
    bert.commit(object_id, deltas.raw_delta({"values_changed": {"root['absent']": {"new_value": 1},
                                                                "root['name']": {"new_value": "there"}}}))
    fleet.wait_until(lambda: carl.nodes[object_id].data["name"] == "there")
    session.check_same()


@pytest.mark.reference
def test_large_updates(session, fleet, rng, trio):
    anna, bert, carl = trio
    mesh_id = new_uuid(rng)
    bert.push(mesh_id, mesh("big", rng, vertices=2_500_000))
    fleet.wait_until(lambda: mesh_id in carl.nodes and mesh_id in anna.nodes)
    whole = rng.randbytes(12 * 2_500_000)
    bert.commit(mesh_id, deltas.raw_delta({"values_changed": {"root['vertices']['co']": {"new_value": whole}}}))
    fleet.wait_until(lambda: carl.nodes[mesh_id].data["vertices"]["co"] == whole)
    session.check_same()


def edit_at_random(client, uuids, rng, number):
    """An edit that commutes with those of the others: each works on keys of its own."""
    node_uuid = rng.choice(uuids)
    key = f"{client.name} {rng.randrange(4)}"

    def change(data):
        props = data["props"]
        what = rng.random()
        if what < 0.2 and key in props:
            del props[key]
        elif what < 0.6 or not isinstance(props.get(key), list):
            props[key] = [number, {"at": rng.random()}]
        elif what < 0.8:
            props[key].insert(rng.randrange(len(props[key]) + 1), number)
        else:
            props[key][rng.randrange(len(props[key]))] = (number, str(number))
    client.edit(node_uuid, change)


@pytest.mark.reference
def test_four_users_edit_the_same_nodes(session, fleet, rng):
    users = [session.admin, *session.join("bert", "carl", "dora")]
    for number in range(150):
        for user in users:
            edit_at_random(user, session.uuids, rng, number)
        fleet.pump()
    session.check_same()


def test_corpus_of_deltas(make_session, fleet, shared, rng):
    """What deepdiff made of a node is what a newcomer is handed; what it aborts on reaches nobody."""
    import pickle
    triples = [t for name in ("blender", "dev", "edge", "order")
               for t in rng.sample(list(wire.read_corpus(f"{shared}/corpus/{name}.mudc")), 120)]
    # A node's data is a dict for every real client, and no pickle of it imports anything.
    triples = [t for t in triples if type(pickle.loads(t.before)) is dict
               and b"bytearray" not in t.before + t.delta]
    uuids = [new_uuid(rng) for _ in triples]
    session = make_session(count=2)
    watcher = session.join("watcher", record=True)
    watcher._on_data = lambda update: None  # this deepdiff may not understand each of them
    sender = session.join("sender")
    for node_uuid, triple in zip(uuids, triples):
        sender.send(DATA, [wire.dump(2), node_uuid.encode(), b"COMMON", wire.dump([]), triple.before])
    for node_uuid, triple in zip(uuids, triples):
        sender.send(DATA, wire.commit_frames(node_uuid, [], triple.delta))
    last = new_uuid(rng)
    sender.push(last, {"type_id": "Mark"})
    fleet.wait_until(lambda: any(f[1] == last.encode() for f in data_messages(watcher)))
    relayed = {frames[1].decode() for frames in data_messages(watcher) if wire.load(frames[0]) == Kind.COMMIT}
    newcomer = session.join("newcomer")
    wrong = []
    for node_uuid, triple in zip(uuids, triples):
        aborted = bool(triple.flags & wire.TRIPLE_ABORTED)
        if aborted == (node_uuid in relayed):
            wrong.append(f"{triple.label}: relayed though it aborts" if aborted else f"{triple.label}: not relayed")
        elif not aborted and newcomer.nodes[node_uuid].state()[2].encode() != triple.canon:
            wrong.append(f"{triple.label}: another result")
    assert not wrong, f"{len(wrong)} of {len(triples)}: {wrong[:20]}"


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
