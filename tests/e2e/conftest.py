# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests."""

import faulthandler
import os
import random

import tap  # first: it says which packages are missing
import pytest

from fleet import Fleet
from proxy import Proxy
from server import ReferenceServer, Server
from session import Session
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


@pytest.fixture
def make_session(fleet, make_server, rng):
    def make(nodes=None, count=9, **options):
        return Session(fleet, make_server(**options), scene(count, rng) if nodes is None else nodes)
    return make


@pytest.fixture
def session(make_session):
    return make_session()


@pytest.fixture
def make_proxy(fleet):
    made = []

    def make(server, **options):
        made.append(Proxy(server.ports, **options))
        return made[-1]
    yield make
    fleet.close()
    for proxy in made:
        proxy.close()


@pytest.fixture
def shared():
    """The folder with captured traffic and the corpus of deltas."""
    path = os.environ.get("SCENEKEEP_SHARED") or os.path.join(
        os.environ.get("top_srcdir") or os.path.join(os.path.dirname(__file__), "..", ".."), "..", "shared")
    if not os.path.isdir(os.path.join(path, "captures")):
        pytest.skip("no captured traffic: SCENEKEEP_SHARED does not name its folder")
    return path
