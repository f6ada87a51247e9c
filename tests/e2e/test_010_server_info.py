#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What anybody may ask before logging in."""

import sys

import tap  # first: it says which packages are missing
import pytest
from fleet import server_info
from wire import Kind


@pytest.mark.reference
def test_public_server(server):
    assert server_info(server.address) == (Kind.REQUEST_SERVER_INFO, "server", {"private": False, "version": "0.9.10"})


@pytest.mark.reference
def test_private_server(make_server):
    server = make_server(server_password="secret")
    assert server_info(server.address) == (Kind.REQUEST_SERVER_INFO, "server", {"private": True, "version": "0.9.10"})


@pytest.mark.reference
def test_asking_is_not_a_login(server, fleet):
    for _ in range(20):
        assert server_info(server.address, context=fleet.context)
    client = fleet.client(server.address, "first", admin_password=server.admin_password).connect().wait_state("lobby")
    client.wait_until(lambda: client.users)
    assert list(client.users) == ["first"]


@pytest.mark.reference
def test_asked_on_one_connection_again_and_again(server, fleet):
    client = fleet.client(server.address, "curious", heartbeat=False, record=True).open()
    for _ in range(50):
        client.command(Kind.REQUEST_SERVER_INFO, "RQ_INFO", owner="guest")
    client.wait_until(lambda: client.counts[Kind.REQUEST_SERVER_INFO] == 50)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
