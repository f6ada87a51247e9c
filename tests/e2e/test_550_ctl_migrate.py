#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`scenekeepctl migrate`: a docker-compose folder becomes a session that scenekeepd serves."""

import gzip
import json
import os
import pickle
import re
import subprocess
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest
import server as server_module
import values
import wire

ENV = """# Multi-User Blender Server Configuration\r
export ADMIN_PASSWORD="geheim # 1"   # keep this\r
SERVER_PASSWORD='join me'\r
PORT = 6000\r
\r
LOG_LEVEL=INFO\r
TIMEOUT=8000
SAVE_INTERVAL=90
COMPOSE_PROJECT_NAME=studio
"""


def folder_with(tmp_path, env=ENV, **files):
    old = tmp_path / "old"
    (old / "data" / "backups").mkdir(parents=True)
    if env is not None:
        (old / ".env").write_bytes(env.encode() if isinstance(env, str) else env)
    for i, (name, content) in enumerate(files.items()):
        path = old / "data" / name.replace("__", "/").replace("_dot_", ".")
        path.write_bytes(content)
        os.utime(path, (1_700_000_000 + i, 1_700_000_000 + i))
    return old


def db(nodes):
    return gzip.compress(pickle.dumps({"nodes": [wire.node_frames(u, "anna", d, x) for u, d, x in nodes], "users": {}}, 4))


def listing(folder):
    return sorted((os.path.join(base, n), os.path.getmtime(os.path.join(base, n)))
                  for base, _, names in os.walk(folder) for n in names)


def test_everything(tmp_path, rng, make_server, fleet):
    older, nodes = values.scene(4, rng), values.scene(9, rng)
    old = folder_with(tmp_path, backups__a_dot_db=db(older), backups__b_dot_db=db(nodes),
                      session_snapshot_dot_pkl=b"\x80\x04\x95 cut off")
    before = listing(old)
    new = tmp_path / "new"
    plan = ctl.good("migrate", old, "--dry-run", "--json", "--data-dir", new).json
    assert not plan["done"] and plan["node_count"] == 9 and plan["snapshot"].endswith("b.db") and not new.exists()
    done = ctl.good("migrate", old, "--json", "--data-dir", new).json
    assert done == {**plan, "done": True} and listing(old) == before
    assert any("session_snapshot.pkl" in n for n in done["notes"]) and any("COMPOSE_PROJECT_NAME" in n for n in done["notes"])
    assert (new / "admin-password").read_text() == "geheim # 1\n"
    assert (new / "server-password").read_text() == "join me\n"
    assert {oct(os.stat(new / n).st_mode & 0o777) for n in ("admin-password", "server-password")} == {"0o600"}
    config = (new / "scenekeep.conf").read_text()
    assert "geheim" not in config and "join me" not in config
    printed = subprocess.run([server_module.program(), "--config", new / "scenekeep.conf", "--check-config"], check=True,
                             capture_output=True, text=True).stdout
    for line in ("port = 6000;", 'timeout = "8s";', 'save_interval = "90s";'):
        assert re.search(re.escape(line).replace("90s", "(90s|1min\\ 30s|1min30s)"), printed), printed

    server = make_server(start=False, admin_password=None, server_password=None)
    server.data_dir = str(new)
    server.arguments = lambda: [server_module.program(), "--config", str(new / "scenekeep.conf"), "--listen", "127.0.0.1",
                                "--port", str(server.ports[0])]
    server.start()
    client = fleet.client(server.address, "anna", password="join me", admin_password="geheim # 1").connect()
    fleet.wait_active(client)
    assert {u: values.canonical(n.data) for u, n in client.nodes.items()} == {u: values.canonical(x) for u, _, x in nodes}


def test_a_folder_named_from_here(tmp_path, rng):
    """The configuration finds it from everywhere."""
    old = folder_with(tmp_path, backups__a_dot_db=db(values.scene(4, rng)))
    subprocess.run([ctl.program(), "migrate", old, "--data-dir", 'the "new" one'], cwd=tmp_path, check=True, capture_output=True)
    new = tmp_path / 'the "new" one'
    printed = subprocess.run([server_module.program(), "--config", new / "scenekeep.conf", "--check-config"], check=True,
                             capture_output=True, text=True, cwd="/").stdout
    assert f"data_dir = {json.dumps(str(new))};" in printed, printed


def test_plan_for_people(tmp_path, rng):
    old = folder_with(tmp_path, backups__a_dot_db=db(values.scene(4, rng)))
    text = ctl.run("migrate", old, "--dry-run", "--data-dir", tmp_path / "new").text
    assert "Would write" in text and "Would import 4 nodes" in text and "geheim" not in text and "join me" not in text
    text = ctl.run("migrate", old, "--data-dir", tmp_path / "new").text
    assert "Imported 4 nodes" in text and "geheim" not in text


@pytest.mark.parametrize("env, admin, server", [
    ("", False, False), ("ADMIN_PASSWORD=\nSERVER_PASSWORD=\n", False, False), ("SERVER_PASSWORD=x", False, True),
    ("ADMIN_PASSWORD=your_secure_admin_password_here", False, False), ("ADMIN_PASSWORD=a\nADMIN_PASSWORD=b", True, False)])
def test_passwords_that_are_missing(tmp_path, env, admin, server):
    old = folder_with(tmp_path, env)
    done = ctl.good("migrate", old, "--json", "--data-dir", tmp_path / "new").json
    assert (done["admin_password_file"] is not None, done["server_password_file"] is not None) == (admin, server)
    assert done["node_count"] == 0 and any("begins empty" in n for n in done["notes"])
    if admin:
        assert (tmp_path / "new" / "admin-password").read_text() == "b\n"


@pytest.mark.parametrize("env, line, words", [
    ("PORT=5555\nADMIN PASSWORD=x\n", 2, "KEY=value"), ("PORT=70000\n", 1, "PORT must be"), ("\nPORT=55x\n", 2, "PORT must be"),
    ("TIMEOUT=-3\n", 1, "TIMEOUT must be"), ("MAX_BACKUPS=many\n", 1, "MAX_BACKUPS must be"),
    ("LOG_LEVEL=LOUD\n", 1, "LOG_LEVEL must be"), ("ADMIN_PASSWORD=\"open\nPORT=1", 1, "not closed"),
    ("ADMIN_PASSWORD=pa$$word\n", 1, "single quotes")])
def test_refused_by_line(tmp_path, env, line, words):
    old = folder_with(tmp_path, env)
    answer = ctl.run("migrate", old, "--data-dir", tmp_path / "new")
    assert answer.status == ctl.FAILED and f".env:{line}: " in answer.sentence and words in answer.sentence
    assert not (tmp_path / "new").exists()


def test_what_is_in_the_way(tmp_path, session):
    old = folder_with(tmp_path)
    ctl.refused(ctl.REFUSED, "being served", "migrate", old, "--json", "--data-dir", session.server.data_dir)
    session.server.stop()
    ctl.refused(ctl.REFUSED, "there is a session", "migrate", old, "--json", "--data-dir", session.server.data_dir)
    ctl.refused(ctl.NOT_FOUND, "docker-compose.yml", "migrate", tmp_path, "--json", "--data-dir", tmp_path / "new")
    new = tmp_path / "new"
    new.mkdir()
    (new / "scenekeep.conf").write_text("# mine\n")
    ctl.good("migrate", old, "--json", "--data-dir", new)
    assert (new / "scenekeep.conf.before-migrate").read_text() == "# mine\n"


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
