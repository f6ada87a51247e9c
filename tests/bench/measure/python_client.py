#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user that initialises a session or joins it, and tells how long that took.

    python_client.py own|stock init|join PORT ADMIN_PASSWORD NODES

Says "ready" and acts when it reads a line. own: the client of the end-to-end tests; stock: the library `replication`.
Leaves when its standard input is closed.
"""

import json
import os
import select
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "e2e"))


def content(n):
    """Nodes, each as large as an object of a real scene."""
    data = {"type_id": "Object", "name": "Cube", "matrix": [float(i) for i in range(120)]}
    return [(str(uuid.uuid4()), [], {**data, "number": i}) for i in range(n)]


class Own:
    def __init__(self, action, port, password, n):
        from fleet import Fleet
        self.fleet, self.n, self.action = Fleet(), n, action
        admin = password if action == "init" else None
        address = "127.0.0.1", [port, port + 1, port + 2]
        self.client = self.fleet.client(address, f"user {action}", admin_password=admin)
        self.nodes = content(n) if action == "init" else []
        if action == "init":
            self.client.connect()
            self.client.wait_state("lobby")

    def act(self):
        if self.action == "init":
            self.client.init(self.nodes)
        else:
            self.client.connect()
        while self.client.state != "active":
            self.idle()
        assert len(self.client.nodes) == self.n

    def idle(self):
        self.fleet.pump(1)
        time.sleep(0.001)

    def close(self):
        self.client.disconnect()
        self.fleet.close()


class Stock:
    """The add-on's library with the simplest of data types, driven as the add-on's timer drives it."""

    def __init__(self, action, port, password, n):
        from replication import porcelain
        from replication.constants import STATE_ACTIVE
        from replication.interface import Session
        from replication.protocol import DataTranslationProtocol, ReplicatedDatablock
        from replication.repository import Repository
        self.active, self.action, self.n = STATE_ACTIVE, action, n

        class Thing(dict):
            uuid = None

        class ThingImplementation(ReplicatedDatablock):
            is_root = True
            use_delta = True

            @staticmethod
            def dump(thing):
                return dict(thing)

            @staticmethod
            def resolve(data):
                return None

            @staticmethod
            def resolve_deps(thing):
                return []

        protocol = DataTranslationProtocol()
        protocol.register_implementation(Thing, ThingImplementation)
        self.session = Session()
        self.session.register("on_exit")(lambda reason: None)
        self.repository = Repository(rdp=protocol, username=f"user {action}")
        self.password = password if action == "init" else None
        porcelain.remote_add(self.repository, "origin", "127.0.0.1", port, admin_password=self.password)
        if action == "init":
            for _, _, data in content(n):
                porcelain.add(self.repository, Thing(data))
            self._connect()
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                self.idle()

    def _connect(self):
        self.session.connect(repository=self.repository, timeout=5000, admin_password=self.password)

    def act(self):
        if self.action == "init":
            self.session.init()
        else:
            self._connect()
        while self.session.state != self.active:
            self.idle()
        assert len(self.repository.graph) == self.n

    def idle(self):
        self.session.listen()
        time.sleep(0.001)

    def close(self):
        self.session.disconnect()


def main():
    kind, action, port, password, n = sys.argv[1:]
    client = (Stock if kind == "stock" else Own)(action, int(port), password, int(n))
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    client.act()
    print(json.dumps({"seconds": time.monotonic() - start}), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        client.idle()
    client.close()


main()
