#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed input of every shape on all three ports: the peer is refused and named in the log, nobody else notices."""

import select
import socket
import sys

import tap  # first: it says which packages are missing
import pytest
import zmq

import deltas
import hostile
import wire
from client import COMMAND, DATA, TTL
from fleet import Fleet
from server import Server
from session import Session
from values import item, new_uuid, scene
from wire import COMMON, Kind


class Target:
    """A session with two users who must not notice anything."""

    def __init__(self):
        self.fleet = Fleet()
        self.server = Server(log_level="debug")
        self.session = Session(self.fleet, self.server, scene(6))
        self.bert = self.session.join("bert")
        self.fleet.watch = self.server.check_alive
        self.bystanders = [self.session.admin, self.bert]
        self.known = self.session.uuids[1]
        self.round = 0

    def stranger(self, channel=COMMAND):
        """Somebody who has not logged in, connected to all three ports."""
        client = self.fleet.client(self.server.address, f"stranger {new_uuid()[:8]}", heartbeat=False, record=True).open()
        if channel == TTL:
            client._sockets[1].disconnect(client._endpoint(DATA))
            client._sockets[1].connect(client._endpoint(TTL))
        return client

    def eve(self, **options):
        """A user in good standing, for now."""
        self.round += 1
        eve = self.session.connect(f"eve {self.round}", **options)
        eve.wait_state("active")
        self.fleet.settle(*self.bystanders, eve)
        return eve

    def check(self, *others):
        """Nobody has noticed: edits flow both ways, scenes are equal to the server's, nothing odd arrived."""
        for user in self.bystanders:
            assert user.state == "active", user.describe()
            self.round += 1
            user.edit(self.known, lambda d: d["props"].update({user.name: self.round}))
        self.fleet.settle(*self.bystanders)
        self.session.check_same(*self.bystanders)
        self.fleet.check_clean(*self.bystanders)
        for other in others:
            other.close()
            self.fleet.clients.remove(other)

    def close(self):
        self.fleet.close()
        self.server.close()


@pytest.fixture(scope="module")
def targets():
    made = []
    yield made
    for target in made:
        target.close()


@pytest.fixture
def target(targets):
    if not targets or not targets[-1].server.running or any(u.state != "active" for u in targets[-1].bystanders):
        targets.append(Target())
    return targets[-1]


def throw(target, channel, shapes, as_user):
    """Sends each shape from a peer of its own kind; a new one whenever the server has parted with it."""
    mark = target.server.mark()
    peers = []
    for frames in shapes.values():
        peer = peers[-1] if peers else None
        if peer is None or peer.state == "left" or (as_user and peer.name not in target.bert.users):
            peer = target.eve() if as_user else target.stranger(channel)
            peers.append(peer)
        if channel == TTL:
            if as_user:
                speak_on_ttl(target, peer, frames)
            else:
                peer.send(1, frames)
        else:
            peer.send(channel, frames)
        target.fleet.pump()
    target.fleet.wait_until(lambda: not any(p.unsent and p.state != "left" for p in peers))
    target.check()
    if as_user:
        assert any(target.server.logged(p.name, mark) for p in peers)
    else:
        assert target.server.logged("127\\.0\\.0\\.1", mark), "the peer's address is not in the log"
    target.check(*peers)


def speak_on_ttl(target, user, frames):
    """A message on the ttl channel with a logged-in user's routing id, in place of that user's heartbeat."""
    if user.heartbeat:
        user.heartbeat.stop()
        user._ttl = target.fleet.context.socket(zmq.DEALER)
        user._ttl.setsockopt(zmq.ROUTING_ID, user.routing_id)
        user._ttl.setsockopt(zmq.LINGER, 1000)
        user._ttl.connect(user._endpoint(TTL))
        user.heartbeat = None
    user._ttl.send_multipart(frames)


def chunks(shapes, size=60):
    names = list(shapes)
    return [{n: shapes[n] for n in names[i:i + size]} for i in range(0, len(names), size)]


COMMAND_CHUNKS = chunks(hostile.command_shapes())
DATA_CHUNKS = chunks(hostile.data_shapes("known"))


@pytest.mark.parametrize("part", range(len(COMMAND_CHUNKS)))
@pytest.mark.parametrize("as_user", [False, True])
def test_command_channel(target, part, as_user):
    throw(target, COMMAND, COMMAND_CHUNKS[part], as_user)


@pytest.mark.parametrize("part", range(len(DATA_CHUNKS)))
@pytest.mark.parametrize("as_user", [False, True])
def test_data_channel(target, part, as_user):
    shapes = {name: [f.replace(b"known", target.known.encode()) if f == b"known" else f for f in frames]
              for name, frames in DATA_CHUNKS[part].items()}
    throw(target, DATA, shapes, as_user)


@pytest.mark.parametrize("as_user", [False, True])
def test_ttl_channel(target, as_user):
    throw(target, TTL, hostile.ttl_shapes(), as_user)


def test_ttl_of_strangers_is_bounded(target):
    """INIT may come from anybody, and must not make the server keep anything for long."""
    before = target.server.memory()
    strangers = [target.stranger(TTL) for _ in range(20)]
    for stranger in strangers:
        for _ in range(500):
            stranger.send(1, [b"INIT"])
    target.fleet.wait_until(lambda: not any(s.unsent for s in strangers))
    target.check(*strangers)
    assert target.server.memory() < before + target.server.allowance(64_000_000)


@pytest.mark.parametrize("name", hostile.code_pickles("x"))
def test_code_is_never_run(target, tmp_path, name):
    """Neither by the server nor by another client, wherever in a message it stands."""
    marker = tmp_path / "marker"
    evil = hostile.code_pickles(marker)[name]
    fresh = new_uuid()
    plain, empty = wire.dump({"type_id": "Mesh"}), wire.dump([])
    on_data = [
        [evil, fresh.encode(), b"COMMON", empty, plain],
        [wire.dump(2), fresh.encode(), b"COMMON", evil, plain],
        [wire.dump(2), fresh.encode(), b"COMMON", empty, evil],
        [wire.dump(1), target.known.encode(), evil, wire.dump({})],
        [wire.dump(1), target.known.encode(), empty, evil],
        [wire.dump(2), target.known.encode(), b"COMMON", empty, evil],
    ]
    on_command = [[evil, b"x", wire.dump({})]]
    on_command += [[wire.dump(int(kind)), None, evil] for kind in Kind if kind >= Kind.COMMAND]
    nested = [wire.dump(2), fresh.encode(), b"COMMON", empty, evil]
    on_command += [[wire.dump(8), b"server", wire.dump({"STATE": "SET", "DATA": nested})]]
    peers = [target.stranger()]
    peers += [target.eve()]
    for frames in on_data:
        for i, peer in enumerate(peers):
            if peer.state == "left" or (i and peer.name not in target.bert.users):
                peers[i] = peer = target.eve() if i else target.stranger()
            peer.send(DATA, frames)
        target.fleet.pump()
    for frames in on_command:
        for i, peer in enumerate(peers):
            if peer.state == "left" or (i and peer.name not in target.bert.users):
                peers[i] = peer = target.eve() if i else target.stranger()
            peer.send(COMMAND, [peer.name.encode() if f is None else f for f in frames])
        target.fleet.pump()
    target.check()
    assert not marker.exists(), f"the pickle with {name} was loaded"
    assert fresh not in target.bert.nodes
    target.check(*peers)


def test_code_in_an_init(fleet, make_server, tmp_path):
    server = make_server()
    marker = tmp_path / "marker"
    admin = fleet.client(server.address, "anna", admin_password=server.admin_password).connect().wait_state("lobby")
    waiting = fleet.client(server.address, "bert").connect().wait_state("lobby")
    for name, evil in hostile.code_pickles(marker).items():
        if admin.state == "left" or "anna" not in waiting.users:
            break
        node_uuid = new_uuid()
        admin.command(Kind.SERVER_SNAPSHOT, {"STATE": "INIT", "SIZE": 1, "NODES": [node_uuid]}, owner="server")
        admin.state = "initialising"
        admin._send_on_accept = False
        frames = [wire.dump(2), node_uuid.encode(), b"COMMON", wire.dump([]), evil]
        admin.command(Kind.SERVER_SNAPSHOT, {"STATE": "SET", "DATA": frames}, owner="server")
        admin.command(Kind.SERVER_SNAPSHOT, {"STATE": "END"}, owner="server")
    newcomer = fleet.client(server.address, "carl").connect()
    fleet.wait_until(lambda: newcomer.answers)
    assert not marker.exists()
    fleet.check_clean(waiting, newcomer)


@pytest.mark.parametrize("name", hostile.exploding_pickles())
def test_explosions(target, name):
    payload = hostile.exploding_pickles()[name]
    before = target.server.memory()
    stranger, eve = target.stranger(), target.eve()
    fresh = new_uuid()
    for peer in (stranger, eve):
        peer.send(COMMAND, [payload, b"x", payload])
        for kind in (Kind.AUTH, Kind.UPDATE_USER_METADATA, Kind.RIGHT):
            peer.send(COMMAND, [wire.dump(int(kind)), peer.name.encode(), payload])
        peer.send(DATA, [wire.dump(2), fresh.encode(), b"COMMON", wire.dump([]), payload])
        peer.send(DATA, [wire.dump(2), fresh.encode(), b"COMMON", payload, wire.dump({})])
        peer.send(DATA, [wire.dump(1), target.known.encode(), wire.dump([]), payload])
    target.fleet.wait_until(lambda: not stranger.unsent)
    target.check()
    assert target.server.memory() < before + target.server.allowance(300_000_000)
    target.check(stranger, eve)


EXPLODING_DELTAS = {
    "bytes of a huge int": {"type_changes": {"root['number']": {"old_type": int, "new_type": bytes}}},
    "path of a megabyte": {"values_changed": {"root" + "['x']" * 200_000: {"new_value": 1}}},
    "brackets": {"values_changed": {"root" + "[" * 500_000: {"new_value": 1}}},
    "deep value": {"dictionary_item_added": {"root['deep']": None}},
    "many inserts": {"iterable_item_added": {f"root['history'][{i}]": i for i in range(50_000)}},
}


@pytest.mark.parametrize("name", EXPLODING_DELTAS)
def test_exploding_deltas(target, name):
    eve = target.eve()
    fresh = new_uuid()
    eve.push(fresh, {**item("victim"), "number": 1 << 70})
    before = target.server.memory()
    eve.send(DATA, wire.commit_frames(fresh, [], deltas.raw_delta(EXPLODING_DELTAS[name])))
    # Whether it is passed on is the delta's own matter; a newcomer must get the same as those who are there.
    target.check()
    assert target.server.memory() < before + target.server.allowance(300_000_000)
    target.check(eve)


def test_sequences_out_of_order(target):
    eve = target.eve()
    known = target.known
    for data in [{"STATE": "DONE"}, {"STATE": "GET", "ID": known}, {"STATE": "REQUEST_INIT"}, {"STATE": "DONE"},
                 {"STATE": "SET", "DATA": wire.node_frames(known, COMMON, [], {})}, {"STATE": "INIT", "CATALOG": []}]:
        eve.command(Kind.SNAPSHOT, data)
    for data in [{"STATE": "END"}, {"STATE": "SET", "DATA": wire.node_frames(known, COMMON, [], {"type_id": "X"})},
                 {"STATE": "INIT", "SIZE": 1, "NODES": [known]}, {"STATE": "END"}, {"STATE": "ACCEPTED"},
                 {"STATE": "DONE"}]:
        eve.command(Kind.SERVER_SNAPSHOT, data, owner="server")
    target.check(eve)


def test_server_messages_from_a_client(target):
    """What only the server may say."""
    eve = target.eve()
    eve.command(Kind.UPDATE_CLIENTS_STATE, {}, owner="server")
    eve.command(Kind.DISCONNECT, {"reason": "go"}, owner="server")
    eve.command(Kind.AUTH, "LOBBY", owner="server")
    eve.command(Kind.CONFIG, {}, owner="server")
    eve.command(Kind.SNAPSHOT, {"STATE": "INIT", "CATALOG": ["x"]}, owner="server")
    target.check(eve)


def test_login_again_under_another_name(target):
    eve = target.eve()
    for name in ("eve twin", "anna", "bert"):
        eve.command(Kind.AUTH, {"AUTH_TYPE": "CLIENT", "AUTH_ID": name, "S_PWD": "", "A_PWD": None, "VERSION": "0.9.10"},
                    owner=name)
    target.check()
    assert "eve twin" not in target.bert.users or eve.name not in target.bert.users, "one connection is two users"
    target.check(eve)


def test_login_whose_owner_is_another_name(target):
    stranger = target.stranger()
    stranger.state = "auth"
    stranger._deadline = float("inf")
    stranger.command(Kind.AUTH, {"AUTH_TYPE": "CLIENT", "AUTH_ID": "mallory", "S_PWD": "", "A_PWD": None,
                                 "VERSION": "0.9.10"}, owner="anna")
    target.check()
    assert set(target.bert.users["anna"]) and target.session.admin.state == "active"
    target.check(stranger)


def test_everything_before_login(target):
    """Nothing but Auth, server info and the ttl INIT from somebody who is not logged in."""
    stranger = target.stranger()
    known = target.known
    owner = target.bert.nodes[known].owner
    stranger.command(Kind.RIGHT, {"uuid": [known], "owner": "bert"}, owner="bert")
    stranger.command(Kind.DELETE, known, owner="client")
    stranger.command(Kind.KICK, {"user": "bert"}, owner="anna")
    stranger.command(Kind.UPDATE_USER_METADATA, {"color": "x"}, owner="bert")
    stranger.command(Kind.SNAPSHOT, {"STATE": "REQUEST_INIT"}, owner="bert")
    stranger.command(Kind.SNAPSHOT, {"STATE": "GET", "ID": known}, owner="bert")
    stranger.command(Kind.SERVER_SNAPSHOT, {"STATE": "INIT", "SIZE": 1, "NODES": [known]}, owner="server")
    stranger.send(DATA, wire.node_frames(known, COMMON, [], {"type_id": "stolen"}))
    stranger.send(DATA, wire.commit_frames(known, [], deltas.raw_delta({"values_changed": {
        "root['name']": {"new_value": "stolen"}}})))
    target.check()
    assert target.bert.nodes[known].owner == owner
    assert target.bert.nodes[known].data["name"] != "stolen"
    assert not [f for _, f in stranger.recorded if wire.load(f[0]) in (Kind.SNAPSHOT, Kind.SERVER_SNAPSHOT)], \
        "a stranger was handed something of the scene"
    target.check(stranger)


def test_raw_probes_of_all_ports(target):
    """Scanners and browsers lose their connection, and cost nobody anything."""
    probes = []
    for port in target.server.ports:
        for name, content in hostile.RAW_PROBES.items():
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(content)
            probes.append((f"{name} on port {port - target.server.ports[0]}", s))
    try:
        target.check()
        closed = set()

        def all_closed():
            ready, _, _ = select.select([s for n, s in probes if n not in closed], [], [], 0)
            for name, s in probes:
                if s in ready:
                    try:
                        if not s.recv(65536):
                            closed.add(name)
                    except ConnectionError:
                        closed.add(name)
            return len(closed) == len(probes)
        try:
            target.fleet.wait_until(all_closed, timeout=45)
        except AssertionError:
            raise AssertionError(f"never closed: {sorted(n for n, _ in probes if n not in closed)}") from None
    finally:
        for _, s in probes:
            s.close()
    target.check()


def test_connections_that_say_nothing(target):
    """Three hundred of them, and as many that stop in the middle of the greeting."""
    before = target.server.descriptors()
    idle = []
    try:
        for i in range(100):
            for port in target.server.ports:
                for content in (b"", hostile.GREETING[:20]):
                    s = socket.create_connection(("127.0.0.1", port))
                    s.sendall(content)
                    idle.append(s)
        target.check()
    finally:
        for s in idle:
            s.close()
    target.fleet.wait_until(lambda: target.server.descriptors() <= before + 10, timeout=60,
                            what="closed connections to be let go of")


def test_one_byte_at_a_time(target):
    """A message that arrives slowly is a message all the same. Like every peer of ZMTP, this one sends no message before
    it has had the server's READY."""
    s = socket.create_connection(("127.0.0.1", target.server.ports[0]))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(20)
    received = b""

    def drip(stream):
        for i in range(len(stream)):
            s.sendall(stream[i:i + 1])
            target.fleet.pump()

    def read_until(word):
        nonlocal received
        while word not in received:
            part = s.recv(65536)
            assert part, f"closed before {word!r} came"
            received += part
    try:
        drip(hostile.GREETING + hostile.READY)
        read_until(b"\x05READY")
        frames = wire.command_frames(Kind.REQUEST_SERVER_INFO, "guest", "RQ_INFO")
        for i, frame in enumerate(frames):
            drip(bytes([1 if i + 1 < len(frames) else 0, len(frame)]) + frame)
        read_until(b"private")
    finally:
        s.close()
    target.check()


def test_flood_of_failed_logins(target):
    """They are counted and slowed down; those who are in do not notice."""
    clients = [target.fleet.client(target.server.address, f"guess {i}", admin_password="wrong").connect()
               for i in range(60)]
    target.check()
    for client in clients:
        assert client.state in ("left", "auth") and client.name not in target.bert.users
    target.check(*clients)


def test_ban(make_session, fleet):
    """Where loopback is not on the list of those who are never banned."""
    session = make_session(allow="192.0.2.1", failed_login_limit=5, ban_time="1h")
    bert = session.join("bert")
    for i in range(8):
        stranger = fleet.client(session.server.address, "guess", admin_password=f"wrong {i}", timeout=3.0).connect()
        stranger.wait_state("left")
    late = fleet.client(session.server.address, "carl", timeout=3.0).connect()
    late.wait_state("left")
    assert "RUNNING" not in str(late.answers), "banned and let in all the same"
    session.server.wait_log("banned", fleet=fleet)
    session.fleet.settle(session.admin, bert)
    fleet.check_clean(session.admin, bert)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
