#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl create` and `remove`: the files of further sessions, in a system below a scratch folder."""

import contextlib
import os
import socket
import subprocess
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest
import server as server_module

SOCKETS = "scenekeep", "scenekeep-data", "scenekeep-ttl"


def files_below(root):
    return sorted(os.path.relpath(os.path.join(base, n), root) for base, _, names in os.walk(root) for n in names)


@contextlib.contextmanager
def listener(port=0):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.listen(1)
        yield sock.getsockname()[1]


@pytest.fixture(name="port")
def fixture_port():
    """The first of three that are free now."""
    for _ in range(100):
        with contextlib.suppress(OSError), listener() as port, listener(port + 1), listener(port + 2):
            return port
    raise RuntimeError("there are no three free ports in a row")


def test_create_and_remove(tmp_path, port):
    answer = ctl.good("create", "studio", "--port", port, "--root", tmp_path, "--json").json
    assert answer["port"] == port and not answer["had_data"] and not answer["listening"]
    for i, name in enumerate(SOCKETS):
        path = tmp_path / f"etc/systemd/system/{name}@studio.socket.d/ports.conf"
        assert path.read_text() == f"[Socket]\nListenStream={port + i}\n"
    assert len(files_below(tmp_path)) == 4
    printed = subprocess.run([server_module.program(), "--config", answer["config"], "--check-config"], check=True,
                             capture_output=True, text=True).stdout
    assert 'idle_exit = "10min";' in printed, printed

    for path in (tmp_path / "etc/systemd/system/scenekeep@studio.socket.d/mine.conf",
                 os.path.join(answer["data_dir"], "log", "1.seg"),
                 answer["config"].replace(".conf", ".admin-password")):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as stream:
            stream.write("x")
    assert ctl.good("remove", "studio", "--root", tmp_path, "--json").json["data_dir"] == answer["data_dir"]
    left = files_below(tmp_path)
    assert len(left) == 2 and left[0].endswith("mine.conf") and left[1].endswith("1.seg"), left
    assert ctl.good("create", "studio", "--port", port, "--root", tmp_path, "--json").json["had_data"]
    assert ctl.good("remove", "studio", "--root", tmp_path, "--purge-data", "--json").json["data_dir"] is None
    assert [os.path.basename(path) for path in files_below(tmp_path)] == ["mine.conf"]
    ctl.refused(ctl.NOT_FOUND, "no session studio", "remove", "studio", "--root", tmp_path, "--json")


def test_words_for_people(tmp_path, port):
    text = ctl.run("create", "studio", "--port", port, "--root", tmp_path).text
    assert f"will listen on ports {port}, {port + 1} and {port + 2}." in text and "admin-password" in text
    assert "no longer served" in ctl.run("remove", "studio", "--root", tmp_path).text


@pytest.mark.parametrize("name", ["default", "scenekeep", "", "-x", "../x", "a/b", "a b", "a.conf", "a%i", "x" * 65, "ä"])
def test_bad_names(tmp_path, name):
    for verb in (["create", "--port", "5565"], ["remove", "--purge-data"]):
        ctl.refused(ctl.USAGE, "cannot be the name" if name else "an argument is empty", *verb, "--root", tmp_path, "--", name)
    assert not files_below(tmp_path)


@pytest.mark.parametrize("bad", ["0", "65534", "x", "-5"])
def test_bad_ports(tmp_path, bad):
    ctl.refused(ctl.USAGE, "not a number from 1 to 65533", "create", "studio", f"--port={bad}", "--root", tmp_path)
    ctl.refused(ctl.USAGE, "it needs --port", "create", "studio", "--root", tmp_path)
    assert not files_below(tmp_path)


def test_what_is_in_the_way(tmp_path, port):
    with listener(port + 2):
        ctl.refused(ctl.REFUSED, f"port {port + 2} cannot", "create", "studio", "--port", port, "--root", tmp_path, "--json")
    assert not files_below(tmp_path)
    ctl.good("create", "studio", "--port", port, "--root", tmp_path, "--json")
    before = files_below(tmp_path)
    ctl.refused(ctl.REFUSED, "there is a session studio", "create", "studio", "--port", port, "--root", tmp_path, "--json")
    ctl.refused(ctl.REFUSED, "@studio.socket already", "create", "other", "--port", port, "--root", tmp_path, "--json")
    assert files_below(tmp_path) == before


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
