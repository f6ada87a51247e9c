#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a join takes, from the login to being active, by distance and number of nodes.

    tests/bench/bench-join.py BUILD [INTERPRETER]

With an INTERPRETER in which `replication` 0.9.10 is installed, the client is the library that the add-on uses, listening
once a millisecond as the add-on does; else it is the client of the end-to-end tests. A proxy in between makes the
distance. Each line is measured with nodes sent ahead and with one node a round trip (join_ahead = 0).
"""

import os
import sys
import time

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
if len(sys.argv) == 3 and not os.environ.get("SCENEKEEP_STOCK"):
    os.environ["SCENEKEEP_STOCK"] = "1"
    os.execv(sys.argv[2], [sys.argv[2], os.path.abspath(__file__), *sys.argv[1:]])

os.environ.setdefault("SCENEKEEPD", os.path.join(sys.argv[1], "scenekeepd"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))

import uuid

from fleet import Fleet
from proxy import Proxy
from server import ADMIN_PASSWORD, Server, free_ports

PASSWORD = "join me"
ROUND_TRIPS = (0, 25, 50, 100)
NODES = (50, 500, 5000)
PATIENCE = 60.0  # what would take longer is not measured


def fill(server, n):
    """An init of n nodes, each as large as an object of a real scene."""
    fleet = Fleet()
    host = fleet.client(server.address, "host", password=PASSWORD, admin_password=ADMIN_PASSWORD).connect()
    host.wait_state("lobby")
    data = {"type_id": "Object", "name": "Cube", "matrix": [float(i) for i in range(120)]}
    host.init([(str(uuid.uuid4()), [], {**data, "number": i}) for i in range(n)])
    host.wait_state("active", 60)
    host.disconnect()
    fleet.close()


def join_own(address, n):
    fleet = Fleet()
    start = time.monotonic()
    client = fleet.client(address, f"user {uuid.uuid4().hex[:8]}", password=PASSWORD).connect()
    fleet.wait_until(lambda: client.state == "active", 2 * PATIENCE, "the join")
    took = time.monotonic() - start
    assert len(client.nodes) == n
    client.disconnect()
    fleet.close()
    return took


def join_stock(address, n):
    from replication import porcelain
    from replication.constants import STATE_ACTIVE
    from replication.interface import Session
    from replication.protocol import DataTranslationProtocol
    from replication.repository import Repository
    session = Session()
    session.register("on_exit")(lambda reason: None)
    repository = Repository(rdp=DataTranslationProtocol(), username=f"user {uuid.uuid4().hex[:8]}")
    porcelain.remote_add(repository, "origin", "127.0.0.1", address[1][0], server_password=PASSWORD)
    start = time.monotonic()
    session.connect(repository=repository, timeout=5000, server_password=PASSWORD)
    while session.state != STATE_ACTIVE:
        session.listen()
        time.sleep(0.001)
        assert time.monotonic() - start < 2 * PATIENCE
    took = time.monotonic() - start
    assert len(repository.graph) == n
    session.disconnect()
    return took


def consecutive_proxy(ports, delay):
    """A stock client wants its three ports in a row."""
    return Proxy(ports, delay=delay, listen=free_ports())


def measure(join, n, round_trip, ahead):
    if not ahead and n * round_trip / 1000 > PATIENCE:
        return None
    server = Server(server_password=PASSWORD, join_ahead="4M" if ahead else "0")
    try:
        fill(server, n)
        proxy = consecutive_proxy(server.ports, round_trip / 2000)
        try:
            return join(proxy.address, n)
        finally:
            proxy.close()
    finally:
        server.close()


def main():
    stock = len(sys.argv) == 3
    join = join_stock if stock else join_own
    print(f"client: {'replication 0.9.10' if stock else 'of the end-to-end tests'}; "
          "seconds from the login to being active")
    print(f"{'nodes':>6} {'round trip':>11} {'sent ahead':>11} {'one each':>10}")
    for n in NODES:
        for round_trip in ROUND_TRIPS:
            took = [measure(join, n, round_trip, ahead) for ahead in (True, False)]
            cells = [f"{t:.2f}" if t is not None else f"> {PATIENCE:.0f}" for t in took]
            print(f"{n:>6} {round_trip:>8} ms {cells[0]:>11} {cells[1]:>10}", flush=True)


if __name__ == "__main__":
    main()
