# SPDX-License-Identifier: GPL-3.0-or-later
"""An independent client of a Multi-User session, for the tests.

It behaves as an unmodified client does, faults included: what would raise an error there is noted in `errors` here,
and what would make the add-on leave the session is noted in `fatal`. All clients of a Fleet live in the test's own
thread; they progress whenever the fleet waits for something.
"""

import copy
import time
import uuid as uuid_module
from collections import Counter, deque

import zmq

import deltas
import wire
from heartbeat import Heartbeat
from values import canonical
from wire import COMMON, Kind

COMMAND, DATA, TTL = 0, 1, 2


class Timeout(AssertionError):
    pass


class Node:
    """A node as one client has it."""

    def __init__(self, owner, dependencies, data):
        self.owner = owner
        self.dependencies = dependencies
        self._data = data
        self._canonical = None

    @property
    def data(self):
        return self._data

    @data.setter
    def data(self, value):
        self._data = value
        self._canonical = None

    def state(self):
        """Comparable: owner, dependencies and the exact data."""
        if self._canonical is None:
            self._canonical = canonical(self._data)
        return self.owner, tuple(self.dependencies or ()), self._canonical


class Client:
    """One user. Made by Fleet.client(); `state` goes auth, lobby, (initialising | syncing), active, left."""

    def __init__(self, fleet, address, name, password="", admin_password=None, version=wire.VERSION, timeout=5.0,
                 routing_id=None, heartbeat=True, record=False, source=None, fetches=None):
        self.fleet = fleet
        self.name = name
        self.address = address
        self.password = password
        self.admin_password = admin_password
        self.version = version
        self.timeout = timeout
        self.routing_id = routing_id or uuid_module.uuid4().bytes
        self.nodes = {}
        self.users = {}
        self.mark = str(uuid_module.uuid4())
        self.marks = 0
        self.errors = []
        self.fatal = []
        self.counts = Counter()
        self.answers = []
        self.reason = None
        self.state = "new"
        self.paused = False
        self.budget = 64  # turns of handling a command and an update at most, each time the fleet comes by
        self.recorded = deque() if record else None
        self.on_update = None
        self.last_received = None
        self.longest_silence = 0.0
        self.dialogue = []
        self.fetches = fetches  # how many nodes of a join it asks for before it stops, until fetch_on(); None: all
        self._source = source  # the address to come from, where it matters
        self._with_heartbeat = heartbeat
        self._catalog = []
        self._asked = None
        self._late = deque()
        self._outbox = (deque(), deque())
        self._sockets = ()
        self.heartbeat = None
        self._deadline = None

    # connection

    def _endpoint(self, channel):
        host, ports = self.address
        source = f"{self._source}:0;" if self._source else ""
        return f"tcp://{source}{host}:{ports[channel]}"

    def open(self):
        """Connects the command and data channel without saying anything."""
        sockets = []
        for channel in (COMMAND, DATA):
            socket = self.fleet.context.socket(zmq.DEALER)
            socket.setsockopt(zmq.ROUTING_ID, self.routing_id)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            socket.connect(self._endpoint(channel))
            sockets.append(socket)
        self._sockets = tuple(sockets)
        self.fleet.register(self)
        return self

    def connect(self):
        """Logs in; the answer arrives in `answers`, and a running session's join begins by itself."""
        if not self._sockets:
            self.open()
        admin = self.admin_password is not None
        self.state = "auth"
        self._deadline = time.monotonic() + self.timeout
        self.command(Kind.AUTH, {"AUTH_TYPE": "ADMIN" if admin else "CLIENT", "AUTH_ID": self.name,
                                 "S_PWD": self.password, "A_PWD": self.admin_password, "VERSION": self.version})
        if self._with_heartbeat:
            self.heartbeat = Heartbeat(self.fleet.context, self._endpoint(TTL), self.routing_id, self.timeout)
            self.heartbeat.start()
        return self

    def disconnect(self, reason="quit"):
        """As when the user leaves: sockets closed, heartbeat killed, no goodbye."""
        self._leave(reason)

    def crash(self):
        """As when Blender crashes: the connections are gone, the heartbeat goes on."""
        self._close_sockets()
        self.state = "left"
        self.reason = "crashed"

    def _close_sockets(self):
        self.fleet.unregister(self)
        for socket in self._sockets:
            socket.close()
        self._sockets = ()

    def _leave(self, reason):
        self._close_sockets()
        if self.heartbeat:
            self.heartbeat.stop()
        self.state = "left"
        self.reason = reason

    def close(self):
        if self.state != "left":
            self._leave("test over")
        elif self.heartbeat:
            self.heartbeat.stop()

    # sending

    def send(self, channel, frames):
        """Queues a message of these frames, as they are, and sends what the connection takes."""
        self._outbox[channel].append(frames)
        self._flush(channel)

    def _flush(self, channel):
        outbox = self._outbox[channel]
        while outbox and self._sockets:
            try:
                self._sockets[channel].send_multipart(outbox[0], zmq.NOBLOCK)
            except zmq.Again:
                return
            outbox.popleft()

    @property
    def unsent(self):
        return len(self._outbox[COMMAND]) + len(self._outbox[DATA])

    def command(self, kind, data, owner=None):
        self.send(COMMAND, wire.command_frames(kind, self.name if owner is None else owner, data))

    def init(self, nodes, sending=True):
        """Offers these (uuid, dependencies, data) as the session's content. Without `sending`, nothing is sent after
        the server has accepted."""
        for node_uuid, dependencies, data in nodes:
            self.nodes[node_uuid] = Node(COMMON, list(dependencies), copy.deepcopy(data))
        self.state = "initialising"
        self._send_on_accept = sending
        self.command(Kind.SERVER_SNAPSHOT, {"STATE": "INIT", "SIZE": len(self.nodes), "NODES": list(self.nodes)},
                     owner="server")

    def _send_init(self):
        for node_uuid, node in self.nodes.items():
            frames = wire.node_frames(node_uuid, node.owner, node.dependencies, node.data)
            self.command(Kind.SERVER_SNAPSHOT, {"STATE": "SET", "DATA": frames}, owner="server")
        self.command(Kind.SERVER_SNAPSHOT, {"STATE": "END"}, owner="server")

    def push(self, node_uuid, data, dependencies=(), owner=COMMON):
        """A new node, or a whole new version of one."""
        known = self.nodes.get(node_uuid)
        if known:
            known.data = copy.deepcopy(data)
            known.dependencies = list(dependencies)
            owner = known.owner
        else:
            self.nodes[node_uuid] = Node(owner, list(dependencies), copy.deepcopy(data))
        frames = wire.node_frames(node_uuid, owner, list(dependencies), data)
        self.send(DATA, frames)
        return frames

    def edit(self, node_uuid, change, dependencies=None, ignore_order=False):
        """Calls change(data) on a copy of the node's data and sends the difference as a Commit."""
        node = self.nodes[node_uuid]
        new = copy.deepcopy(node.data)
        change(new)
        payload = deltas.make_delta(node.data, new, ignore_order)
        if payload is None:
            return None
        return self.commit(node_uuid, payload, dependencies)

    def commit(self, node_uuid, payload, dependencies=None):
        """Applies a delta to the client's own node, as clients do, and sends it."""
        node = self.nodes[node_uuid]
        node.data = deltas.apply_delta(node.data, payload)
        if dependencies is not None:
            node.dependencies = list(dependencies)
        frames = wire.commit_frames(node_uuid, node.dependencies, payload)
        self.send(DATA, frames)
        return frames

    def right(self, uuids, owner):
        self.command(Kind.RIGHT, {"uuid": list(uuids), "owner": owner})

    def lock(self, *uuids):
        self.right(uuids, self.name)

    def unlock(self, *uuids):
        self.right(uuids, COMMON)

    def delete(self, node_uuid):
        self.command(Kind.DELETE, node_uuid, owner="client")

    def kick(self, user):
        self.command(Kind.KICK, {"user": user})

    def metadata(self, **fields):
        self.command(Kind.UPDATE_USER_METADATA, fields)

    # receiving

    def step(self):
        """Handles what has arrived, a command and an update in turn. Returns whether there was anything."""
        busy = False
        if self.heartbeat and not self.heartbeat.is_alive():
            self._leave("Server lost")
        if self.state == "auth" and time.monotonic() > self._deadline:
            self._leave("Connection failed, server not found")
        self._flush(COMMAND)
        self._flush(DATA)
        for _ in range(0 if self.paused else self.budget):
            got = [self._receive(channel) for channel in (COMMAND, DATA)]
            if not any(got):
                break
            busy = True
        return busy

    def _receive(self, channel):
        if not self._sockets:
            return False
        try:
            frames = self._sockets[channel].recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        now = time.monotonic()
        if self.last_received is not None:
            self.longest_silence = max(self.longest_silence, now - self.last_received)
        self.last_received = now
        if self.recorded is not None:
            self.recorded.append((channel, frames))
        try:
            message = wire.parse(frames)
        except Exception as error:
            self.errors.append(f"corrupted frame on channel {channel}: {error!r}")
            return True
        self.counts[message.kind] += 1
        try:
            if channel == COMMAND:
                self._on_command(message)
            else:
                self._on_data(message)
        except Exception as error:
            self.errors.append(f"{message.kind.name}: {error!r}")
        return True

    def _expect(self, *states):
        if self.state not in states:
            raise RuntimeError(f"came in state {self.state}")

    def _on_command(self, message):
        kind, owner, data = message
        if kind is Kind.AUTH:
            self._on_auth(data)
        elif kind is Kind.DISCONNECT:
            self._leave(data)
        elif kind is Kind.UPDATE_CLIENTS_STATE:
            for name, user in data.items():
                if user["id"] != name or set(user) != {"id", "admin", "latency", "status", "metadata"}:
                    raise ValueError(f"user table says of {name!r}: {user!r}")
            self.users = data
        elif kind is Kind.UPDATE_USER_METADATA:
            if owner not in self.users:
                raise KeyError(f"metadata of {owner!r}, who is not in the user table")
            self.users[owner]["metadata"].update(data)
        elif kind is Kind.SNAPSHOT:
            self._on_snapshot(data)
        elif kind is Kind.SERVER_SNAPSHOT:
            self._on_server_snapshot(data)
        elif kind is Kind.DELETE:
            self._on_delete(data)
        elif kind is Kind.RIGHT:
            for node_uuid in data["uuid"]:
                if node_uuid in self.nodes:
                    self.nodes[node_uuid].owner = data["owner"]
        else:
            raise ValueError("unexpected")

    def _on_auth(self, answer):
        self._expect("auth")
        self.answers.append(answer)
        if "LOBBY" in answer:
            self.state = "lobby"
        if "RUNNING" in answer:
            self.state = "lobby"
            self.request_join()
        if "FAILED" in answer:
            self._leave(answer)

    def request_join(self):
        self.command(Kind.SNAPSHOT, {"STATE": "REQUEST_INIT"})

    def _on_delete(self, node_uuid):
        if not node_uuid:
            raise ValueError("Delete of nothing")
        if node_uuid in self.nodes:
            for node in self.nodes.values():
                if node.dependencies and node_uuid in node.dependencies:
                    node.dependencies.remove(node_uuid)
            del self.nodes[node_uuid]

    def _on_snapshot(self, data):
        self._expect("syncing", "lobby")
        state = data["STATE"]
        if state == "INIT":
            self._catalog = list(data["CATALOG"])
            self._late = deque()
            self._ask_next()
            self.state = "syncing"
        elif state == "SET":
            if data["DATA"] != b"removed":
                message = wire.parse(data["DATA"])
                if message.uuid != self._asked:
                    raise ValueError(f"SET of {message.uuid} when {self._asked} was asked for: the join hangs")
                self._store(message)
            if self._catalog:
                self._ask_next()
            else:
                self._finish_join()
        else:
            raise ValueError(f"snapshot state {state!r}")

    @property
    def stopped(self):
        """Whether it is in the middle of its join, and stays there until fetch_on()."""
        return self.state == "syncing" and self.fetches == 0 and self._asked is None

    def fetch_on(self):
        self.fetches = None
        if self.state == "syncing" and self._asked is None:
            self._ask_next()

    def _ask_next(self):
        self._asked = None
        if self.fetches is not None:
            if self.fetches == 0:
                return
            self.fetches -= 1
        self._asked = self._catalog.pop()
        self.command(Kind.SNAPSHOT, {"STATE": "GET", "ID": self._asked})

    def _finish_join(self):
        late, self._late = self._late, deque()
        for update in late:
            self._store(update)
        self.command(Kind.SNAPSHOT, {"STATE": "DONE"})
        self.state = "active"

    def _on_server_snapshot(self, data):
        self._expect("initialising")
        self.dialogue.append(data["STATE"])
        if data["STATE"] == "ACCEPTED":
            if self._send_on_accept:
                self._send_init()
        elif data["STATE"] == "DONE":
            self.state = "active"
        elif data["STATE"] == "REJECTED":
            self.state = "lobby"
        else:
            raise ValueError(f"server snapshot state {data['STATE']!r}")

    def _on_data(self, update):
        if self.state == "syncing":
            self._late.append(update)
        elif self.state == "active":
            self._store(update)

    def _store(self, update):
        known = self.nodes.get(update.uuid)
        if update.kind is Kind.COMMIT:
            self._patch(known, update)
        elif known:
            known.data = update.data
            known.dependencies = update.dependencies
        else:
            self.nodes[update.uuid] = Node(update.owner, update.dependencies, update.data)
        if self.on_update:
            self.on_update(self, update)

    def _patch(self, node, update):
        if node is None:
            # During a join this is only an error in the log; afterwards it throws the user out.
            problem = f"Commit for {update.uuid}, which {self.name} does not have"
            (self.errors if self.state == "syncing" else self.fatal).append(problem)
            return
        try:
            node.data = deltas.apply_delta(node.data, update.delta)
        except Exception as error:
            self.fatal.append(f"delta for {update.uuid} fails: {error!r}")
            return
        node.dependencies = update.dependencies

    # looking

    def scene(self):
        return {node_uuid: node.state() for node_uuid, node in self.nodes.items()}

    def wait_until(self, predicate, timeout=None, what=None):
        self.fleet.wait_until(predicate, timeout, what or f"{self.name} to be ready")

    @property
    def joined(self):
        """Whether it is in the session, and the server knows: what ends the connection before ends the word of it."""
        return self.state == "active" and self.users.get(self.name, {}).get("status") == wire.Status.ACTIVE

    def wait_state(self, state, timeout=None):
        self.fleet.wait_until(lambda: self.joined if state == "active" else self.state == state, timeout,
                              f"{self.name} to be {state}")
        return self

    def describe(self):
        return (f"{self.name}: {self.state} ({self.reason}), {len(self.nodes)} nodes, {len(self._catalog)} to fetch, "
                f"answers {self.answers}, fatal {self.fatal[:3]}, errors {self.errors[:3]}, unsent {self.unsent}, "
                f"received {({k.name: n for k, n in self.counts.items()})}")
