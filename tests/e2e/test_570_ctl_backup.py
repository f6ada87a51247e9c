#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl backup`: copies that are whole, cheap, and can be served."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time

import tap  # first: it says which packages are missing
import ctl
import pytest
import rot
from server import free_ports


def back_up(session, destination):
    return ctl.good("backup", destination, "--json", "--data-dir", session.server.data_dir).json


def log_files(session):
    """Size and time of each: a running daemon has records of its own to write for a moment after a login or a save."""
    folder = os.path.join(session.server.data_dir, "log")
    return {e.name: (e.stat().st_size, e.stat().st_mtime_ns) for e in os.scandir(folder)}


def back_up_twice_unchanged(session, destination):
    """Two copies between which the session has written nothing, and the names of those it took to get them."""
    names = []
    for _ in range(20):
        before = log_files(session)
        first, second = back_up(session, destination), back_up(session, destination)
        names += [first["name"], second["name"]]
        if log_files(session) == before:
            return first, second, names
    raise AssertionError(f"an idle session goes on writing: {before}, then {log_files(session)}")


def nodes(folder):
    return {n["uuid"]: (n["name"], n["bytes"]) for n in ctl.good("show", "now", "--json", "--data-dir", folder).json["nodes"]}


@contextlib.contextmanager
def locked(folder):
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield
    os.close(fd)


def test_two_in_one_second_and_two_at_once(session, tmp_path):
    destination = tmp_path / "copies"
    names = [back_up(session, destination)["name"] for _ in range(4)]
    assert sorted(set(names)) == names == sorted(e.name for e in destination.iterdir())
    (destination / "20200101T000000Z.partial" / "log").mkdir(parents=True)  # as a backup that was killed leaves it
    (destination / "20200101T000000Z.partial" / "log" / "0000000001.seg").write_bytes(b"x")
    (destination / "mine.partial").mkdir()
    with locked(destination):
        ctl.refused(ctl.REFUSED, "another backup is at work", "backup", destination, "--json", "--data-dir", session.server.data_dir)
    names.append(back_up(session, destination)["name"])
    assert sorted(e.name for e in destination.iterdir()) == [*names, "mine.partial"]
    ctl.refused(ctl.FAILED, "cannot use the folder", "backup", __file__, "--data-dir", session.server.data_dir)
    ctl.refused(ctl.FAILED, "cannot use the folder", "backup", "/proc/x", "--data-dir", session.server.data_dir)


@pytest.mark.parametrize("running", [True, False])
def test_copies(make_session, tmp_path, running):
    session = make_session(segment_size="1M")
    ctl.good("save", "--data-dir", session.server.data_dir)
    if not running:
        session.server.stop()
    destination = tmp_path / "copies"
    oldest = back_up(session, destination)
    assert oldest["copied_bytes"] == oldest["bytes"] > 0 and oldest["linked"] == 0
    first, second, names = back_up_twice_unchanged(session, destination)
    assert second["copied_bytes"] == 0 and second["linked"] == second["files"] == first["files"]
    assert sorted(os.listdir(destination)) == [oldest["name"], *names]
    if running:
        session.admin.edit(session.uuids[0], lambda data: data.update(name="later"))
        session.fleet.wait_until(lambda: nodes(session.server.data_dir)[session.uuids[0]][0] == "later", what="the edit")
    third = back_up(session, destination)
    assert third["copied_bytes"] > 0 if running else third["copied_bytes"] == 0
    assert nodes(destination / third["name"]) == nodes(session.server.data_dir)
    assert nodes(destination / first["name"])[session.uuids[0]][0] != "later"
    copied = {n for _, _, names in os.walk(destination) for n in names}
    assert not copied & {"lock", "control", "admin-password"}


def test_a_copy_can_be_served(make_session, make_server, fleet, tmp_path):
    session = make_session()
    copy = back_up(session, tmp_path / "copies")
    server = make_server(start=False)
    os.rename(tmp_path / "copies" / copy["name"], server.data_dir)
    server.start()
    client = fleet.client(server.address, "first").connect()
    fleet.wait_active(client)
    assert {u: n.state()[2] for u, n in client.nodes.items()} == {u: n.state()[2] for u, n in session.admin.nodes.items()}


# ---- what only rsync reaches ----

needs_rsync = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is not installed")

SSH = """#!/bin/sh
# Stands for ssh: the other machine is this one.
while [ "${1#-}" != "$1" ]; do case $1 in -o|-l|-p) shift 2 ;; *) shift ;; esac; done
[ "$1" = elsewhere ] || { echo "ssh: Could not resolve hostname $1" >&2; exit 255; }
shift
echo "$*" >> "$FAKE_SSH_LOG"
exec sh -c "$*"
"""


class Elsewhere:
    """A destination on another machine: what rsync calls it, the folder that it is, and what the environment needs."""

    def __init__(self, name, folder, environment):
        self.name, self.folder, self.environment = name, folder, environment

    def back_up(self, session, *options, status=ctl.OK):
        while self.folder.exists() and time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) in os.listdir(self.folder):
            time.sleep(0.05)
        answer = ctl.run("backup", self.name, *options, "--data-dir", session.server.data_dir, environment=self.environment)
        assert answer.status == status, answer
        assert not os.path.exists(os.path.join(session.server.data_dir, ".backup"))
        return answer

    def whole(self):
        """Every copy whose list of digests holds."""
        names = []
        for copy in sorted(self.folder.iterdir()):
            if not (copy / "SHA256SUMS").exists():
                continue
            for line in (copy / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
                digest, path = line.split("  ", 1)
                assert hashlib.sha256((copy / path).read_bytes()).hexdigest() == digest, path
            names.append(copy.name)
        return names


@pytest.fixture
def rsync_daemon(tmp_path):
    (tmp_path / "module").mkdir()
    port = free_ports()[0]
    config = tmp_path / "rsyncd.conf"
    config.write_text(f"use chroot = no\npid file = {tmp_path}/pid\nlog file = {tmp_path}/log\n[backup]\n"
                      f"path = {tmp_path}/module\nread only = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n")
    with subprocess.Popen(["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"],
                          stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.02)
        yield Elsewhere(f"rsync://127.0.0.1:{port}/backup/sessions/studio one", tmp_path / "module" / "sessions" / "studio one", {})
        process.terminate()


@pytest.fixture
def fake_ssh(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "FAKE_SSH_LOG": str(tmp_path / "ssh.log")}
    return Elsewhere(f"elsewhere:{tmp_path}/there/it's here", tmp_path / "there" / "it's here", environment)


@needs_rsync
@pytest.mark.parametrize("kind", ["rsync_daemon", "fake_ssh"])
@pytest.mark.parametrize("running", [True, False])
def test_copies_elsewhere(make_session, request, tmp_path, kind, running):
    elsewhere = request.getfixturevalue(kind)
    session = make_session(segment_size="1M")
    ctl.good("save", "--data-dir", session.server.data_dir)
    if not running:
        session.server.stop()
    first = elsewhere.back_up(session, "--json").json
    assert first["destination"] == elsewhere.name and first["copied_bytes"] == first["bytes"] > 0 and first["linked"] == 0
    text = elsewhere.back_up(session)
    assert "was compared there" in text.text and not text.error
    third = elsewhere.back_up(session, "--json").json
    assert third["linked"] > 0 and third["copied_bytes"] < third["bytes"]
    assert len(elsewhere.whole()) == 3 and third["name"] == elsewhere.whole()[-1]
    assert nodes(elsewhere.folder / third["name"]) == nodes(session.server.data_dir)
    names = rot.files(elsewhere.folder / third["name"], "snapshots")
    assert all(os.stat(name).st_nlink >= 3 for name in names), "what is the same is there once"
    # What lies there has rotted, with its size and time as before: it is found, and sent anew.
    victim = rot.files(elsewhere.folder / third["name"], "snapshots")[0]
    when = os.stat(victim).st_mtime_ns
    rot.flip(victim, 60)
    os.utime(victim, ns=(when, when))
    answer = elsewhere.back_up(session, "--json", status=ctl.DEGRADED)
    assert f"snapshots/{os.path.basename(victim)} had rotted in the copies before it" in answer.sentence
    newest = max(elsewhere.folder.iterdir())
    assert (newest / "SHA256SUMS").exists()
    ctl.good("verify", "--all", "--data-dir", newest)
    for copy in elsewhere.folder.iterdir():
        if copy != newest:
            shutil.rmtree(copy)
    assert elsewhere.whole() == [newest.name]
    elsewhere.back_up(session)


@needs_rsync
def test_a_copy_from_elsewhere_can_be_served(session, make_server, fleet, fake_ssh):
    name = fake_ssh.back_up(session, "--json").json["name"]
    server = make_server(start=False)
    shutil.copytree(fake_ssh.folder / name, server.data_dir)
    server.start()
    client = fleet.client(server.address, "first").connect()
    fleet.wait_active(client)
    assert {u: n.state()[2] for u, n in client.nodes.items()} == {u: n.state()[2] for u, n in session.admin.nodes.items()}


@needs_rsync
@pytest.mark.parametrize("kind", ["folder", "fake_ssh"])
def test_a_damaged_session_is_copied_and_said_to_be(make_session, request, tmp_path, kind):
    session = make_session()
    ctl.good("save", "--data-dir", session.server.data_dir)
    session.server.stop()
    rot.flip(rot.files(session.server.data_dir, "snapshots")[0], 60)
    elsewhere = Elsewhere(str(tmp_path / "copies"), tmp_path / "copies", {}) if kind == "folder" else \
        request.getfixturevalue(kind)
    answer = elsewhere.back_up(session, "--json", status=ctl.DEGRADED)
    assert ctl.is_one_sentence(answer.error) and "1 records of it are damaged" in answer.json["error"]["message"]
    assert len(list(elsewhere.folder.iterdir())) == 1


@needs_rsync
def test_what_stands_in_the_way_elsewhere(session, fake_ssh, tmp_path):
    at = ("--json", "--data-dir", session.server.data_dir)
    ctl.refused(ctl.FAILED, "Could not resolve hostname nowhere", "backup", "nowhere:/srv/backup", *at,
                environment=fake_ssh.environment)
    # Whether rsync still tries to write when ssh has ended is a matter of luck.
    unlucky = tmp_path / "unlucky"
    unlucky.mkdir()
    (unlucky / "rsync").write_text("#!/bin/sh\necho 'ssh: Could not resolve hostname nowhere' >&2\n"
                                   "echo 'rsync: [Receiver] safe_write failed to write 6 bytes to fd 4: Broken pipe (32)' >&2\n"
                                   "echo 'rsync error: error in rsync protocol data stream (code 12)' >&2\nexit 12\n")
    (unlucky / "rsync").chmod(0o755)
    ctl.refused(ctl.FAILED, "Could not resolve hostname nowhere", "backup", "nowhere:/srv/backup", *at,
                environment={"PATH": f"{unlucky}:{os.environ['PATH']}"})
    port = free_ports()[0]
    ctl.refused(ctl.FAILED, "Connection refused", "backup", f"rsync://127.0.0.1:{port}/backup", *at)
    (tmp_path / "empty").mkdir()
    ctl.refused(ctl.FAILED, "rsync is not installed", "backup", "elsewhere:/srv/backup", *at,
                environment={"PATH": str(tmp_path / "empty")})
    (tmp_path / "file").write_text("no folder")
    ctl.refused(ctl.FAILED, "cannot copy to", "backup", f"elsewhere:{tmp_path}/file/x", *at, environment=fake_ssh.environment)
    assert not os.path.exists(os.path.join(session.server.data_dir, ".backup"))


def test_refusals(session, tmp_path):
    ctl.refused(ctl.FAILED, "cannot use the folder", "backup", "/proc/nowhere", "--json", "--data-dir", session.server.data_dir)
    ctl.refused(ctl.NOT_FOUND, "no session in", "backup", tmp_path, "--json", "--data-dir", tmp_path / "nowhere")


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
