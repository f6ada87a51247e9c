#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl check`: what is said of servers that answer, half of them, and none."""

import socket
import sys
import threading

import tap  # first: it says which packages are missing
import ctl
import pytest
import wire
import zmq
from server import free_ports


class SmallServer:
    """Three ports that speak ZMTP, the first of which answers server info with `answer`."""

    def __init__(self, answer, ports=(0, 1, 2)):
        self.first = free_ports()[0]
        self.answer = answer
        self.context = zmq.Context()
        self.sockets = []
        for i in ports:
            router = self.context.socket(zmq.ROUTER)
            router.linger = 0
            router.bind(f"tcp://127.0.0.1:{self.first + i}")
            self.sockets.append(router)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while not self.stop.is_set():
            if self.sockets[0].poll(20):
                sender, *frames = self.sockets[0].recv_multipart()
                assert wire.parse(frames) == (wire.Kind.REQUEST_SERVER_INFO, "guest", "RQ_INFO")
                if self.answer is not None:
                    self.sockets[0].send_multipart([sender, *self.answer])

    def close(self):
        self.stop.set()
        self.thread.join()
        self.context.destroy(0)


@pytest.fixture
def make_small():
    made = []

    def make(*arguments, **options):
        made.append(SmallServer(*arguments, **options))
        return made[-1]
    yield make
    for server in made:
        server.close()


def info(private, version="0.9.10"):
    return wire.command_frames(wire.Kind.REQUEST_SERVER_INFO, "server", {"private": private, "version": version})


def test_a_good_server(make_small):
    server = make_small(info(True))
    text = ctl.good("check", "127.0.0.1", server.first).text
    assert "version 0.9.10, asks for a password." in text
    assert text.count("reachable") == 3
    answer = ctl.good("check", "localhost", server.first, "--json").json
    assert answer["ok"] and answer["private"] and answer["version"] == "0.9.10"
    assert [p["port"] for p in answer["ports"]] == [server.first, server.first + 1, server.first + 2]
    assert 0 < answer["round_trip_usec"] < 2_000_000


def test_a_server_cannot_write_to_the_terminal(make_small):
    server = make_small(info(False, "0.9\x1b[2J\n"))
    assert "version 0.9\\x1b[2J\\x0a, no password" in ctl.good("check", "127.0.0.1", server.first).text


def test_one_port_is_missing(make_small):
    server = make_small(info(False), ports=(0, 2))
    answer = ctl.run("check", "127.0.0.1", server.first)
    assert answer.status == ctl.NOT_RUNNING
    assert "data     port" in answer.text and "nothing listens" in answer.flat
    assert "Clients can log in but not work" in answer.flat
    answer = ctl.run("check", "127.0.0.1", server.first, "--json")
    assert answer.status == ctl.NOT_RUNNING and not answer.json["ok"] and answer.json["answered"]
    assert [p["result"] for p in answer.json["ports"]] == ["reachable", "nothing listens", "reachable"]
    assert str(server.first + 1) in answer.json["ports"][1]["advice"]


def test_nothing_there():
    answer = ctl.run("check", "127.0.0.1", free_ports()[0])
    assert answer.status == ctl.NOT_RUNNING and answer.text.count("nothing listens") >= 3
    assert max(map(len, answer.text.splitlines())) <= 80


def test_unknown_host():
    answer = ctl.run("check", "no-such-host.invalid")
    assert answer.status == ctl.NOT_RUNNING and "check its spelling" in answer.flat


def test_something_else_listens():
    first = free_ports()[0]
    with socket.create_server(("127.0.0.1", first)) as server:
        def greet():
            connection, _ = server.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            connection.close()
        thread = threading.Thread(target=greet)
        thread.start()
        answer = ctl.run("check", "127.0.0.1", first)
        thread.join()
    assert answer.status == ctl.NOT_RUNNING and "Something else than a session server" in answer.flat


def test_silent_port():
    first = free_ports()[0]
    with socket.create_server(("127.0.0.1", first)):
        answer = ctl.run("check", "127.0.0.1", first, "--timeout", 1)
    assert answer.status == ctl.NOT_RUNNING and "accepts connections but says nothing" in answer.flat


@pytest.mark.parametrize("frames", [
    [b"HTTP"], wire.command_frames(wire.Kind.REQUEST_SERVER_INFO, "server", {"private": 1}),
    [wire.dump(14), b"server", b"cos\nsystem\n(S'true'\ntR."], [wire.dump(14), b"server", b""],
    [b"x"] * 9, [wire.dump(14), b"server", wire.dump("x" * 100000)]])
def test_strange_answers(make_small, frames):
    server = make_small(frames)
    answer = ctl.run("check", "127.0.0.1", server.first)
    assert answer.status == ctl.NOT_RUNNING and "no Multi-User session server" in answer.flat


def test_no_answer(make_small):
    server = make_small(None)
    answer = ctl.run("check", "127.0.0.1", server.first, "--timeout", 1)
    assert answer.status == ctl.NOT_RUNNING and "does not answer" in answer.flat


@pytest.mark.parametrize("arguments", [["check"], ["check", "h", "0"], ["check", "h", "65534"], ["check", "h", "5x"],
                                       ["check", "h", "1", "2"], ["check", "h", "--timeout", "0"], ["nonsense"],
                                       ["check", "h", "--tree"], ["check", "h", "--nonsense"], ["check", "-i", "a/b", "h"],
                                       ["check", "h", "--timeout"]])
def test_wrong_command_lines(arguments):
    ctl.refused(ctl.USAGE, "", *arguments)


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
