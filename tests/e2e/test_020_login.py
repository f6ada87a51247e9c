#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in, and being refused."""

import sys

import tap  # first: it says which packages are missing
import pytest

from server import ADMIN_PASSWORD
from wire import Kind, Status

SECRET = "geheim ✓"


@pytest.fixture
def private(make_server):
    return make_server(server_password=SECRET)


def refused(fleet, client):
    client.wait_state("left")
    (answer,) = client.answers
    assert answer.startswith("FAILED: ") and len(answer) > len("FAILED: ")
    # The client looks for these words anywhere in the answer.
    assert "LOBBY" not in answer and "RUNNING" not in answer
    assert not client.errors
    return answer


@pytest.mark.reference
def test_first_login_of_an_empty_session_waits_in_the_lobby(private, fleet):
    client = fleet.client(private.address, "vier ✓", password=SECRET).connect().wait_state("lobby")
    assert client.answers == ["LOBBY"]
    client.wait_until(lambda: client.users)
    assert client.users == {"vier ✓": {"id": "vier ✓", "admin": False, "latency": client.users["vier ✓"]["latency"],
                                       "status": Status.LOBBY, "metadata": {}}}
    fleet.check_clean()


@pytest.mark.reference
def test_admin_is_marked(private, fleet):
    admin = fleet.client(private.address, "anna", password=SECRET, admin_password=ADMIN_PASSWORD).connect()
    user = fleet.client(private.address, "bert", password=SECRET).connect()
    fleet.wait_until(lambda: all(set(c.users) == {"anna", "bert"} for c in (admin, user)))
    assert user.users["anna"]["admin"] is True
    assert user.users["bert"]["admin"] is False


@pytest.mark.reference
@pytest.mark.parametrize("password", ["", None, "falsch", SECRET + " ", "x" * 1000])
def test_wrong_server_password(private, fleet, password):
    client = fleet.client(private.address, "eins", password=password).connect()
    assert "server password" in refused(fleet, client)


@pytest.mark.reference
@pytest.mark.parametrize("password", ["", "falsch", ADMIN_PASSWORD.upper()])
def test_wrong_admin_password(private, fleet, password):
    client = fleet.client(private.address, "eins", password=SECRET, admin_password=password).connect()
    assert "admin password" in refused(fleet, client)


def test_admin_without_a_password(private, fleet):
    client = fleet.client(private.address, "eins").open()
    client.state = "auth"
    client._deadline = float("inf")
    client.command(Kind.AUTH, {"AUTH_TYPE": "ADMIN", "AUTH_ID": "eins", "S_PWD": SECRET, "A_PWD": None,
                               "VERSION": "0.9.10"})
    assert "admin password" in refused(fleet, client)


@pytest.mark.reference
@pytest.mark.parametrize("version", ["0.9.9", "0.9.11", "1"])
def test_other_version(private, fleet, version):
    client = fleet.client(private.address, "eins", password=SECRET, version=version).connect()
    assert "version" in refused(fleet, client)


@pytest.mark.parametrize("word", ["LOBBY", "RUNNING", "FAILED"])
def test_reasons_do_not_repeat_words_that_clients_look_for(private, fleet, word):
    refused(fleet, fleet.client(private.address, "eins", password=SECRET, version=word).connect())
    first = fleet.client(private.address, word, password=SECRET).connect().wait_state("lobby")
    refused(fleet, fleet.client(private.address, word, password=SECRET).connect())
    assert first.state == "lobby"


@pytest.mark.reference
def test_name_already_taken(private, fleet):
    first = fleet.client(private.address, "fünf", password=SECRET).connect().wait_state("lobby")
    second = fleet.client(private.address, "fünf", password=SECRET).connect()
    assert "already" in refused(fleet, second)
    third = fleet.client(private.address, "sechs", password=SECRET).connect().wait_state("lobby")
    fleet.wait_until(lambda: set(first.users) == {"fünf", "sechs"})
    assert first.state == third.state == "lobby"
    fleet.check_clean(first, third)


def test_refused_logins_are_in_the_log(private, fleet):
    refused(fleet, fleet.client(private.address, "eins", password="falsch").connect())
    private.wait_log("eins.*server password|server password.*eins", fleet=fleet)
    assert "falsch" not in private.log()
    assert SECRET not in private.log()


def test_without_passwords_none_and_empty_are_accepted(server, fleet):
    for i, password in enumerate([None, ""]):
        fleet.client(server.address, f"user {i}", password=password).connect().wait_state("lobby")


@pytest.mark.reference
def test_routing_id_that_begins_with_zero(server, fleet):
    """One random UUID in 256 does; libzmq's own ids do as well."""
    for i in range(3):
        routing_id = bytes([0, i]) + b"0123456789abcd"
        fleet.client(server.address, f"user {i}", routing_id=routing_id).connect().wait_state("lobby")


def test_names_that_are_no_names(server, fleet):
    for name in ["", "x" * 65, "x" * 1000, "COMMON", "two\nlines", "\x1b[31m"]:
        refused(fleet, fleet.client(server.address, name).connect())


def test_sizes_that_no_client_sends(server, fleet):
    """Not even an answer is owed to these."""
    clients = [fleet.client(server.address, "x" * 100000, timeout=2.0).connect(),
               fleet.client(server.address, "eins", password="x" * 100000, timeout=2.0).connect()]
    for client in clients:
        client.wait_state("left")
        assert "LOBBY" not in str(client.answers)


def test_running_session_answers_running(session, fleet):
    user = session.join("bert")
    assert user.answers == ["RUNNING"]
    assert user.nodes.keys() == session.admin.nodes.keys()


def test_password_may_have_any_characters(make_server, fleet):
    server = make_server(admin_password="a'\"\\ =;#$%&ß", server_password="x'y\"z\\ =;#,")
    fleet.client(server.address, "anna", password=server.server_password,
                 admin_password=server.admin_password).connect().wait_state("lobby")


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
