# SPDX-License-Identifier: GPL-3.0-or-later
"""Users with the library `replication` that the add-on uses; what each sees of Blender is a world of plain objects."""

import time
import uuid

from replication import porcelain
from replication.constants import FETCHED, STATE_ACTIVE, STATE_INITIAL
from replication.interface import Session
from replication.protocol import DataTranslationProtocol, ReplicatedDatablock
from replication.repository import Repository

from server import ADMIN_PASSWORD
from values import canonical

PASSWORD = "join me"


class Thing:
    """A data-block of the make-believe Blender."""

    def __init__(self, name, values=None, links=()):
        self.name = name
        self.values = values or {}
        self.links = list(links)
        self.uuid = None


class User:
    """A client with its world of things, driven as the add-on's timers drive it."""

    everybody = []

    def __init__(self, server, name, admin=False):
        self.name = name
        self.world = {}
        self.exits = []
        self.session = Session()
        self.session.register("on_exit")(lambda reason: self.exits.append(reason))
        protocol = DataTranslationProtocol()
        protocol.register_implementation(Thing, self._implementation())
        self.repository = Repository(rdp=protocol, username=name)
        admin_password = ADMIN_PASSWORD if admin else None
        porcelain.remote_add(self.repository, "origin", "127.0.0.1", server.ports[0], server_password=PASSWORD,
                             admin_password=admin_password)
        self.session.connect(repository=self.repository, timeout=5000, server_password=PASSWORD,
                             admin_password=admin_password)
        User.everybody.append(self)

    def _implementation(self):
        world = self.world

        class ThingImplementation(ReplicatedDatablock):
            is_root = True
            use_delta = True

            @staticmethod
            def construct(data):
                world[data["uuid"]] = Thing(data["name"])
                return world[data["uuid"]]

            @staticmethod
            def dump(thing):
                return {"name": thing.name, "values": dict(thing.values)}

            @staticmethod
            def load(data, thing):
                thing.name = data["name"]
                thing.values = data["values"]

            @staticmethod
            def resolve(data):
                return world.get(data.get("uuid"))

            @staticmethod
            def resolve_deps(thing):
                return thing.links

        return ThingImplementation

    @property
    def state(self):
        return self.session.state

    @property
    def nodes(self):
        return self.repository.graph

    def turn(self):
        """The network timer, then the apply timer."""
        for _ in range(50):
            if self.state == STATE_INITIAL:
                return
            self.session.listen()
        if self.state == STATE_ACTIVE:
            for node_uuid, node in list(self.nodes.items()):
                if node.state == FETCHED:
                    porcelain.apply(self.repository, node_uuid)

    @property
    def users(self):
        return self.session.online_users

    def metadata(self, **fields):
        porcelain.update_user_metadata(self.repository, fields)

    def add(self, thing):
        node_uuid = porcelain.add(self.repository, thing)
        self.world[node_uuid] = thing
        return node_uuid

    def edit(self, node_uuid, **values):
        """What the update timer does after the user has changed something."""
        thing = self.nodes[node_uuid].instance
        thing.values = {**thing.values, **values}
        self.publish(node_uuid)

    def publish(self, node_uuid):
        porcelain.commit(self.repository, node_uuid)
        porcelain.push(self.repository, "origin", node_uuid)

    def scene(self):
        return {u: (n.owner, tuple(n.dependencies or ()), canonical(n.data)) for u, n in self.nodes.items()}

    def values(self, node_uuid):
        return self.nodes[node_uuid].data["values"]

    def leave(self):
        self.session.disconnect()
        User.everybody.remove(self)


def wait(what, condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}: " +
                                 str([(u.name, u.state, len(u.nodes), u.exits) for u in User.everybody]))
        for user in User.everybody:
            user.turn()
        time.sleep(0.001)


def ok(text):
    print(f"ok - {text}", flush=True)


def same(*users):
    """All have the same scene, and a newcomer is handed that one."""
    wait("scenes to be equal", lambda: all(u.scene() == users[0].scene() for u in users))
    newcomer = User(users[0].server, f"newcomer {uuid.uuid4().hex[:6]}")
    wait("a newcomer", lambda: newcomer.state == STATE_ACTIVE)
    wait("the newcomer's scene to be equal", lambda: newcomer.scene() == users[0].scene())
    newcomer.leave()
    wait("the newcomer to be gone", lambda: all(newcomer.name not in u.session.online_users for u in users))
