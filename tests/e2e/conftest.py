# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests."""

import faulthandler
import os
import random

import tap  # first: it says which packages are missing
import pytest

from fleet import Fleet
from server import ADMIN_PASSWORD, ReferenceServer, Server
from values import scene

CASE_LIMIT = float(os.environ.get("E2E_CASE_LIMIT", "300"))


def pytest_collection_modifyitems(config, items):
    if tap.REFERENCE:
        items[:] = [item for item in items if item.get_closest_marker("reference")]


@pytest.fixture(autouse=True)
def limit():
    """A case that hangs ends with the stack of every thread instead of hanging `make check`."""
    faulthandler.dump_traceback_later(CASE_LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def rng():
    """Randomness whose seed is printed with a failure; E2E_SEED repeats a run."""
    seed = int(os.environ.get("E2E_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}: E2E_SEED={seed} repeats this")
    return random.Random(seed)


@pytest.fixture
def fleet():
    fleet = Fleet()
    yield fleet
    fleet.close()


@pytest.fixture
def make_server(fleet):
    """Starts servers that are ended, and looked at, after the case."""
    servers = []

    def make(**options):
        server = ReferenceServer(tap.REFERENCE, **options) if tap.REFERENCE else Server(**options)
        servers.append(server)
        fleet.watch = lambda: [s.check_alive() for s in servers if s.guarded]
        return server
    yield make
    fleet.close()
    for server in servers:
        server.close()


@pytest.fixture
def server(make_server):
    return make_server()


class Session:
    """A running session: an admin who has initialised it, and the users that join."""

    def __init__(self, fleet, server, nodes):
        self.fleet = fleet
        self.server = server
        self.uuids = [node[0] for node in nodes]
        self.admin = self.connect("anna", admin=True)
        self.admin.wait_state("lobby")
        self.admin.init(nodes)
        self.admin.wait_state("active")
        self.users = [self.admin]

    def connect(self, name, admin=False, **options):
        if admin:
            options.setdefault("admin_password", ADMIN_PASSWORD)
        options.setdefault("password", self.server.server_password)
        return self.fleet.client(self.server.address, name, **options).connect()

    def join(self, *names, **options):
        joined = [self.connect(name, **options) for name in names]
        self.fleet.wait_active(*joined)
        self.users += joined
        self.announced()
        return joined if len(joined) > 1 else joined[0]

    def announced(self):
        """Waits until every user is known to be active to all."""
        names = {u.name for u in self.users if u.state == "active"}
        self.fleet.wait_until(
            lambda: all({n for n, x in u.users.items() if x["status"] == 2} >= names
                        for u in self.users if u.state == "active"),
            what=f"{names} to be announced")

    def check_same(self, *clients, **options):
        clients = clients or [u for u in self.users if u.state == "active"]
        return self.fleet.check_same(self.server.address, *clients, password=self.server.server_password, **options)


@pytest.fixture
def make_session(fleet, make_server, rng):
    def make(nodes=None, count=9, **options):
        return Session(fleet, make_server(**options), scene(count, rng) if nodes is None else nodes)
    return make


@pytest.fixture
def session(make_session):
    return make_session()


@pytest.fixture
def shared():
    """The folder with captured traffic and the corpus of deltas."""
    path = os.environ.get("SCENEKEEP_SHARED") or os.path.join(
        os.environ.get("top_srcdir") or os.path.join(os.path.dirname(__file__), "..", ".."), "..", "shared")
    if not os.path.isdir(os.path.join(path, "captures")):
        pytest.skip("no captured traffic: SCENEKEEP_SHARED does not name its folder")
    return path
