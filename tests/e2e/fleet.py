# SPDX-License-Identifier: GPL-3.0-or-later
"""All clients of one test, and the waiting for what they see."""

import time

import zmq

import wire
from client import Client, Timeout
from values import new_uuid
from wire import Kind

DEFAULT_TIMEOUT = 60.0


class Fleet:
    def __init__(self):
        self.context = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self.clients = []
        self._poller = zmq.Poller()
        self._connected = []
        self.watch = None  # called at each turn of waiting; raises when the wait has become pointless

    def client(self, address, name, **options):
        client = Client(self, address, name, **options)
        self.clients.append(client)
        return client

    def register(self, client):
        self._connected.append(client)
        for socket in client._sockets:
            self._poller.register(socket, zmq.POLLIN)

    def unregister(self, client):
        if client in self._connected:
            self._connected.remove(client)
            for socket in client._sockets:
                self._poller.unregister(socket)

    def pump(self, milliseconds=0):
        """One turn: waits at most that long for anything to arrive, then lets every client handle its share."""
        if any(c.paused for c in self._connected):
            poller = zmq.Poller()
            for client in self._connected:
                if not client.paused:
                    for socket in client._sockets:
                        poller.register(socket, zmq.POLLIN)
            poller.poll(milliseconds)
        else:
            self._poller.poll(milliseconds)
        busy = False
        for client in list(self._connected):
            busy |= client.step()
        return busy

    def wait_until(self, predicate, timeout=None, what="a condition"):
        deadline = time.monotonic() + (DEFAULT_TIMEOUT if timeout is None else timeout)
        while not predicate():
            if time.monotonic() > deadline:
                raise Timeout(f"waited in vain for {what}\n" + self.describe())
            if self.watch:
                self.watch()
            self.pump(20)

    def wait_active(self, *clients, timeout=None):
        clients = clients or self.clients
        self.wait_until(lambda: all(c.joined for c in clients), timeout,
                        f"{', '.join(c.name for c in clients)} to be active")

    def describe(self):
        there = [client for client in self.clients if client.state != "left"]
        return "\n".join("  " + client.describe() for client in (there or self.clients)[-12:])

    def settle(self, *clients, also=(), timeout=None):
        """Waits until everything that these active clients have sent has reached all of them, and those in `also`.
        Each sends its mark, a node of its own, and a metadata field behind it; both channels keep their order, so what
        was sent before has then arrived."""
        numbers = {}
        for client in clients:
            client.marks += 1
            numbers[client] = client.marks
            client.push(client.mark, {"type_id": "Mark", "of": client.name, "number": client.marks})
            client.metadata(mark=client.marks)

        def arrived(sender, receiver):
            node = receiver.nodes.get(sender.mark)
            user = receiver.users.get(sender.name)
            return (node and node.data["number"] == numbers[sender]
                    and user and user["metadata"].get("mark") == numbers[sender])
        self.wait_until(lambda: all(arrived(s, r) for s in clients for r in (*clients, *also) if r is not s), timeout,
                        "what was sent to arrive everywhere")

    def check_clean(self, *clients):
        """Nothing reached these clients that a stock client would stumble over."""
        for client in clients or self.clients:
            assert not client.fatal, f"{client.name} would leave the session: {client.fatal}"
            assert not client.errors, f"{client.name} would report: {client.errors}"

    def check_same(self, address, *clients, timeout=None, settle=True, **login):
        """The scene of every client comes to equal the server's, which is what somebody who joins now is handed, and
        stays so. A server may repeat or put right what raced a moment ago, so it has a while for that; nothing of it
        may leave anybody with another scene. Returns the scene."""
        if settle and len(clients) > 1:
            self.settle(*clients, timeout=timeout)
        observer = self.client(address, f"observer {new_uuid()[:8]}", **login).connect()
        observer.wait_state("active", timeout)
        for _ in range(2):
            self.settle(*clients, also=[observer], timeout=timeout)
            try:
                self.wait_until(lambda: all(c.scene() == observer.scene() for c in clients), timeout or 15.0)
            except Timeout:
                pass  # what differs is told below
        for client in clients:
            assert_same_scene(client.scene(), observer.scene(), client.name, "the server")
        self.check_clean(observer, *clients)
        scene = observer.scene()
        observer.disconnect()
        return scene

    def close(self):
        for client in self.clients:
            client.close()
        self.context.destroy(linger=0)


def assert_same_scene(one, other, one_name, other_name):
    missing = sorted(set(other) - set(one))
    extra = sorted(set(one) - set(other))
    different = [u for u in one if u in other and one[u] != other[u]]
    if not (missing or extra or different):
        return
    lines = [f"the scenes of {one_name} and {other_name} differ: {len(missing)} missing, {len(extra)} too many, "
             f"{len(different)} different"]
    for node_uuid in different[:3]:
        for mine, theirs in zip(one[node_uuid], other[node_uuid]):
            if mine != theirs:
                at = next((i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs)))
                lines.append(f"  {node_uuid} at {at}:\n    {one_name}: {str(mine[max(0, at - 80):at + 80])}"
                             f"\n    {other_name}: {str(theirs[max(0, at - 80):at + 80])}")
    lines += [f"  missing {u}: {other[u][2][:120]}" for u in missing[:3]]
    lines += [f"  too many {u}: {one[u][2][:120]}" for u in extra[:3]]
    raise AssertionError("\n".join(lines))


def server_info(address, timeout=5.0, context=None):
    """Asks a server for its info before any login; None when no answer comes in time."""
    host, ports = address
    own = context or zmq.Context()
    socket = own.socket(zmq.DEALER)
    try:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.connect(f"tcp://{host}:{ports[0]}")
        socket.send_multipart(wire.command_frames(Kind.REQUEST_SERVER_INFO, "guest", "RQ_INFO"))
        if not socket.poll(timeout * 1000):
            return None
        return wire.parse(socket.recv_multipart())
    finally:
        socket.close()
        if not context:
            own.destroy(linger=0)
