#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real clients sent, sent again, and the answers compared with those that real clients got."""

import json
import sys

import tap  # first: it says which packages are missing
import pytest

import wire
from client import COMMAND, DATA, TTL
from heartbeat import Heartbeat
from values import canonical, new_uuid
from wire import COMMON, Kind, Status


class Replay:
    """Sends the recorded messages of all clients in their order. A message goes out when the server has handled the
    one before it, because the capture's order between two sockets is one that the recorded server has seen."""

    def __init__(self, fleet, server, records):
        self.fleet = fleet
        self.server = server
        self.records = [r for r in records if r.channel != TTL]
        self.clients = {}
        self.marks = set()
        self.names = {}
        self.previous = None
        self.watcher = fleet.client(server.address, "watcher", password=server.server_password).connect()
        self.watcher.wait_state("lobby")

    def client(self, index):
        if index not in self.clients:
            client = self.fleet.client(self.server.address, f"recorded {index}", record=True).open()
            client._on_command = self._after_login(client)
            client._on_data = lambda update: None
            client.login = None
            self.clients[index] = client
        return self.clients[index]

    def _after_login(self, client):
        def on_command(message):
            if message.kind is Kind.AUTH and "FAILED" not in message.data:
                client.login = self.names[client]
                client.heartbeat = Heartbeat(self.fleet.context, client._endpoint(TTL), client.routing_id, 5.0)
                client.heartbeat.start()
        return on_command

    def run(self):
        for number, record in enumerate(self.records):
            if record.from_server:
                continue
            client = self.client(record.client)
            place = (client, record.channel)
            if self.previous not in (None, place):
                self.barrier(*self.previous)
                if record.channel == DATA:
                    self.everybody_listens()
            self.previous = place
            kind = wire.load(record.frames[0])
            if kind == Kind.AUTH:
                self.names[client] = record.frames[1].decode()
            if kind == Kind.KICK:
                self.deletes_have_arrived(number)
            before = client.counts[Kind.SNAPSHOT]
            client.send(record.channel, record.frames)
            if kind == Kind.SNAPSHOT and wire.load(record.frames[2])["STATE"] == "GET":
                client.wait_until(lambda: client.counts[Kind.SNAPSHOT] > before, what="the answer to a GET")
            self.fleet.pump()
        self.barrier(*self.previous)

    def barrier(self, client, channel):
        """Waits until the server has handled what this client sent on this channel."""
        if channel == COMMAND:
            before = client.counts[Kind.REQUEST_SERVER_INFO]
            client.command(Kind.REQUEST_SERVER_INFO, "RQ_INFO", owner="guest")
            self.fleet.wait_until(lambda: client.counts[Kind.REQUEST_SERVER_INFO] > before,
                                  what=f"{client.name}'s commands to be handled")
        else:
            mark = new_uuid()
            self.marks.add(mark)
            client.send(DATA, wire.node_frames(mark, COMMON, [], {"type_id": "Mark"}))
            self.fleet.wait_until(lambda: mark in self.watcher.nodes, what=f"{client.name}'s updates to be handled")

    def everybody_listens(self):
        """A client that has just filled or joined the session ignores its data socket for a moment more, and a server
        may know that. The recorded users took longer than this to make their first edit."""
        self.watcher.wait_state("active")
        mark = new_uuid()
        self.marks.add(mark)
        self.watcher.push(mark, {"type_id": "Mark"})

        def everybody_has_it():
            return all(any(f[1] == mark.encode() for f in reversed(self.received(index, DATA)))
                       for index, client in self.clients.items()
                       if self.watcher.users.get(client.login, {}).get("status") == Status.ACTIVE)
        self.fleet.wait_until(everybody_has_it, what="everybody to listen")

    def deletes_have_arrived(self, number):
        """Before somebody is put out: a Delete may be held back a moment, so that it overtakes no data."""
        for index, client in self.clients.items():
            expected = {r.frames[2] for r in self.records[:number] if r.from_server and r.client == index
                        and wire.load(r.frames[0]) == Kind.DELETE}
            client.wait_until(lambda: {wire.load(f) for f in expected} <= {
                wire.load(f[2]) for f in self.received(index, COMMAND) if wire.load(f[0]) == Kind.DELETE})

    def received(self, index, channel):
        return [frames for c, frames in self.clients[index].recorded if c == channel]

    def expected(self, index, channel):
        return [r.frames for r in self.records if r.from_server and r.client == index and r.channel == channel]

    def commands(self, frames_list, *kinds):
        parsed = [wire.parse(frames) for frames in frames_list]
        return [p for p in parsed if p.kind in kinds]

    def check_answers(self):
        """Every recorded client got the same answer to its login, and the same information about the server."""
        for index in self.clients:
            expected = [a.data.split(":")[0] for a in self.commands(self.expected(index, COMMAND), Kind.AUTH)]
            got = [a.data.split(":")[0] for a in self.commands(self.received(index, COMMAND), Kind.AUTH)]
            assert got == expected, f"client {index} was answered {got} instead of {expected}"

    def check_relay(self, whole=0):
        """What went to the others is byte for byte what the reference sent to them. Up to `whole` updates may have been
        made part of a whole node instead: those that follow one whose dependencies named a deleted node, which in
        this replay come within the second in which the server puts that right."""
        for index in self.clients:
            expected = self.expected(index, DATA)
            got = [f for f in self.received(index, DATA) if f[1].decode() not in self.marks and f in expected]
            missing = [f for f in expected if f not in got]
            assert got == [f for f in expected if f not in missing], f"client {index} got updates in another order"
            assert len(missing) <= whole, f"client {index} lacks {[wire.parse(f)[:2] for f in missing]}"

    def check_rights_and_deletes(self):
        """Each client knows the same owners in the end, and the same nodes are gone. A server may say either again
        behind data that it could have overtaken."""
        def told(frames_list):
            owners = {}
            for right in self.commands(frames_list, Kind.RIGHT):
                owners.update(dict.fromkeys(right.data["uuid"], right.data["owner"]))
            return owners, {delete.data for delete in self.commands(frames_list, Kind.DELETE)}
        for index in self.clients:
            expected_owners, expected_gone = told(self.expected(index, COMMAND))
            owners, gone = told(self.received(index, COMMAND))
            assert gone == expected_gone, f"client {index}"
            known = expected_owners.keys() - gone
            assert {u: owners[u] for u in known} == {u: expected_owners[u] for u in known}, f"client {index}"

    def check_snapshots(self):
        """A recorded joiner asked for the same nodes and is handed equal ones. Returns how many."""
        compared = 0
        for index in self.clients:
            expected = self.commands(self.expected(index, COMMAND), Kind.SNAPSHOT)
            got = self.commands(self.received(index, COMMAND), Kind.SNAPSHOT)
            for theirs, ours in zip([e.data for e in expected if e.data["STATE"] == "INIT"],
                                    [g.data for g in got if g.data["STATE"] == "INIT"]):
                assert set(ours["CATALOG"]) - self.marks == set(theirs["CATALOG"])
            theirs = [e.data["DATA"] for e in expected if e.data["STATE"] == "SET"]
            ours = [g.data["DATA"] for g in got if g.data["STATE"] == "SET"]
            assert len(ours) == len(theirs)
            for one, other in zip(theirs, ours):
                one, other = wire.parse(one), wire.parse(other)
                assert (other.uuid, other.owner) == (one.uuid, one.owner)
                assert sorted(other.dependencies or []) == sorted(one.dependencies or []), one.uuid
                assert canonical(other.data) == canonical(one.data), one.uuid
                compared += 1
        return compared


@pytest.fixture
def replay(fleet, make_server, shared):
    def run(name, **options):
        # Recorded clients were handed each node when they asked for it, and the replay waits for that.
        server = make_server(admin_password="admin", log_level="debug", join_ahead="0", **options)
        replay = Replay(fleet, server, list(wire.read_capture(f"{shared}/captures/{name}.frames")))
        replay.run()
        replay.check_answers()
        return replay
    return run


def check_newcomer(fleet, replay):
    """What a newcomer is handed is what somebody has who saw all of it go by."""
    replay.watcher.wait_state("active")
    fleet.check_same(replay.server.address, replay.watcher, password=replay.server.server_password)


@pytest.mark.reference
def test_auth_and_init(fleet, replay):
    result = replay("auth_and_init", server_password="geheim")
    check_newcomer(fleet, result)


@pytest.mark.reference
def test_edit_session_then_join(fleet, replay):
    result = replay("edit_session_then_join")
    result.check_relay()
    result.check_rights_and_deletes()
    assert result.check_snapshots() == 81
    check_newcomer(fleet, result)


@pytest.mark.reference
def test_gui_two_users(fleet, replay):
    result = replay("gui_two_users")
    result.check_relay(whole=2)
    result.check_rights_and_deletes()
    assert result.check_snapshots() == 85
    check_newcomer(fleet, result)


HISTORY = ("chat_messages", "tasks")


def without_history(updates):
    """What users tell of themselves, but chat and tasks, which may be told in another entry."""
    told = [(u.owner, {k: v for k, v in u.data.items() if k not in HISTORY}) for u in updates]
    return [(owner, data) for owner, data in told if data]


def chat_of(updates):
    return {m["id"]: (m["username"], m["message"]) for u in updates
            for m in json.loads(u.data.get("chat_messages", "[]"))}


@pytest.mark.reference
def test_gui_two_users_metadata(fleet, replay):
    result = replay("gui_two_users")
    for index in result.clients:
        expected = result.commands(result.expected(index, COMMAND), Kind.UPDATE_USER_METADATA)
        got = result.commands(result.received(index, COMMAND), Kind.UPDATE_USER_METADATA)
        assert without_history(got) == without_history(expected), f"client {index}"
        assert chat_of(got).items() >= chat_of(expected).items(), f"client {index}"


@pytest.mark.reference
def test_gui_two_users_kick(fleet, replay):
    result = replay("gui_two_users")
    told = result.commands(result.received(1, COMMAND), Kind.DISCONNECT)
    assert [t.data for t in told] == [{"reason": "kicked by admin"}]
    assert not [n for n in result.watcher.nodes.values() if n.owner == "bob"]


@pytest.mark.reference
def test_big_mesh_then_join(fleet, replay):
    result = replay("big_mesh_then_join")
    assert result.check_snapshots() == 14
    check_newcomer(fleet, result)


@pytest.mark.reference
def test_fcurve_list_opcodes(fleet, replay):
    result = replay("fcurve_list_opcodes")
    check_newcomer(fleet, result)


@pytest.mark.reference
def test_every_type_of_node(fleet, make_session, shared):
    """One recorded Node of each data-block type: pushed, passed on byte for byte, handed to a newcomer."""
    import os
    import struct
    session = make_session(count=2)
    bert = session.join("bert", record=True)
    folder = f"{shared}/captures/nodes"
    sent = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as stream:
            content = stream.read()
        frames, offset = [], 0
        for _ in range(5):
            (size,) = struct.unpack_from("<I", content, offset)
            frames.append(content[offset + 4:offset + 4 + size])
            offset += 4 + size
        frames[2] = b"COMMON"
        sent[frames[1].decode()] = frames
        session.admin._store(wire.parse(frames))
        session.admin.send(DATA, frames)
    assert len(sent) > 30
    fleet.wait_until(lambda: sent.keys() <= bert.nodes.keys())
    got = {f[1].decode(): f for channel, f in bert.recorded if channel == DATA}
    assert got == sent
    session.check_same()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
