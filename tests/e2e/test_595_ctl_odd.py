#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verb beside a daemon and without one, and what people type who do not know it yet."""

import gzip
import json
import os
import pickle
import pty
import re
import signal
import socket
import subprocess
import sys
import uuid

import tap  # first: it says which packages are missing
import ctl
import openmetrics
import pytest
import values
import wire
from server import ADMIN_PASSWORD
from test_560_ctl_help import manual, verbs

REFUSED, NOT_RUNNING, OK = ctl.REFUSED, ctl.NOT_RUNNING, ctl.OK
CAREFUL = {OK, ctl.DEGRADED}  # what is looked at may have something to say about the machine

# Verb, its arguments, and its status beside a daemon and without one. The order is that in which they are tried.
TABLE = [
    ("status", [], OK, NOT_RUNNING),
    ("list", [], OK, OK),
    ("users", [], OK, NOT_RUNNING),
    ("metrics", [], OK, NOT_RUNNING),
    ("check", ["127.0.0.1", "PORT"], OK, NOT_RUNNING),
    ("doctor", [], CAREFUL, CAREFUL),
    ("save", [], OK, NOT_RUNNING),
    ("snapshots", [], OK, OK),
    ("pin", ["latest"], OK, NOT_RUNNING),
    ("unpin", ["latest"], OK, NOT_RUNNING),
    ("prune", ["--dry-run"], OK, OK),
    ("prune", [], OK, NOT_RUNNING),
    ("lock", ["NODE", "anna"], OK, NOT_RUNNING),
    ("unlock", ["NODE"], OK, NOT_RUNNING),
    ("say", ["hello"], OK, NOT_RUNNING),
    ("chat", [], OK, OK),
    ("tasks", [], OK, OK),
    ("show", [], OK, OK),
    ("show", ["now", "NODE"], OK, OK),
    ("log", [], OK, OK),
    ("report", ["FOLDER/page.html"], OK, OK),
    ("diff", ["1", "now", "NODE"], OK, OK),
    ("diff", ["1", "now"], OK, OK),
    ("verify", ["--all"], OK, OK),
    ("drill", [], OK, OK),
    ("scrub", [], OK, OK),
    ("backup", ["FOLDER/copies"], OK, OK),
    ("export", ["FOLDER/x.db"], OK, OK),
    ("import", ["FOLDER/x.db"], OK, OK),
    ("restore", ["latest"], OK, OK),
    ("repair", [], REFUSED, OK),
    ("migrate", ["FOLDER/old"], {ctl.NOT_FOUND}, {ctl.NOT_FOUND}),
    ("create", ["studio", "--port", "23555", "--root", "FOLDER/root"], OK, OK),
    ("remove", ["studio", "--root", "FOLDER/root"], OK, OK),
    ("ban", ["203.0.113.9"], OK, NOT_RUNNING),
    ("unban", ["203.0.113.9"], OK, NOT_RUNNING),
    ("kick", ["berta"], OK, NOT_RUNNING),
]


def documented():
    """{verb: words that scenekeepctl(1) says of its answer}"""
    section = manual().split(".Sh JSON\n")[1].split("\n.Sh ")[0]
    out = {}
    for entry in section.split("\n.It Cm ")[1:]:
        names, text = entry.split("\n", 1)
        for name in names.replace(" , Cm ", " ").split():
            out[name] = set(re.findall(r"\w+", text))
    out["status"] |= out["users"]
    out["metrics"] = out["status"]
    return out


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_the_table_has_every_verb():
    assert sorted({t[0] for t in TABLE}) == sorted(verbs())


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_every_verb(make_session, tmp_path, running, as_json):
    session = make_session(allow="192.0.2.1")
    session.join("berta")
    ctl.good("save", "--data-dir", session.server.data_dir)
    session.admin.edit(session.uuids[0], lambda data: data.update(props={"a": 1}))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", "--data-dir", session.server.data_dir).json["updates"] > 0,
                             what="the edit")
    if not running:
        session.server.stop()
    (tmp_path / "root").mkdir()
    described = documented()
    words = {"PORT": session.server.ports[0], "NODE": session.uuids[0]}
    for verb, arguments, beside, without in TABLE:
        arguments = [words.get(a, a.replace("FOLDER", str(tmp_path))) for a in arguments]
        answer = ctl.run(verb, *arguments, *(["--json"] if as_json else []), "--data-dir", session.server.data_dir)
        wanted = beside if running else without
        assert answer.status in (wanted if isinstance(wanted, set) else {wanted}), (verb, answer)
        quiet = answer.status in (OK, ctl.DEGRADED) or verb in ("status", "check")
        assert not answer.error if quiet else ctl.is_one_sentence(answer.error), (verb, answer)
        if as_json:
            assert isinstance(answer.json, dict), verb
            assert quiet or set(answer.json["error"]) == {"code", "message"}
            assert not quiet or keys(answer.json) <= described.get(verb, set()), (verb, answer)
        elif verb == "metrics" and quiet:
            openmetrics.parse(answer.text)
        elif quiet:
            assert all(len(line) <= 80 or str(tmp_path) in line for line in answer.text.splitlines()), (verb, answer)
            assert "\x1b" not in answer.text


def test_names_that_need_care(session):
    names = ["Cube", "Cube", 'quote"\'s', "line\nbreak", "ünïcödé 日本", "\x1b[31mred", "-rf", "a/b", "now", "$(id)", "x" * 300]
    made = {str(uuid.UUID(int=(0xabcd0000 + i) << 96)): name for i, name in enumerate(names)}
    for node, name in made.items():
        session.admin.push(node, {"name": name, "type_id": "Object"})
    at = "--data-dir", session.server.data_dir
    session.fleet.wait_until(lambda: len(ctl.good("show", "--json", *at).json["nodes"]) == 9 + len(names), what="the nodes")
    for text in (ctl.good("show", *at).text, ctl.good("log", *at).text):
        assert "\x1b" not in text and "line\nbreak" not in text
    for node, name in made.items():
        if names.count(name) > 1 or name.isprintable() is False:
            continue
        said = ctl.good("show", "--json", *at, "--", "now", name).json
        assert said["uuid"] == node
    ctl.refused(ctl.NOT_FOUND, "may mean 2 nodes", "show", "now", "Cube", "--json", *at)
    ctl.refused(ctl.USAGE, "there is no option -r", "show", "now", "-rf", *at)
    assert "\x1b" not in ctl.good("show", "now", f"{0xabcd0005:08x}", *at).text
    for line in ctl.good("show", "--tree", *at).text.splitlines():
        assert "\x1b" not in line and len(line) <= 80, line
    assert "xxx… (Object, " in ctl.good("show", "--tree", *at).text


def test_one_node(session):
    """Size and time are two things."""
    ctl.good("save", "--data-dir", session.server.data_dir)
    text = ctl.good("show", "now", session.uuids[0], "--data-dir", session.server.data_dir).text
    assert re.search(r"^Size:     \d+ B$", text, re.M) and re.search(r"^Changed:  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$", text, re.M)


def test_times_without_a_session(session):
    at = "--json", "--data-dir", session.server.data_dir
    ctl.refused(ctl.NOT_FOUND, "nothing kept from then", "restore", "--at", "1999-01-01", *at)
    ctl.refused(ctl.USAGE, "has not come yet", "restore", "--at", "2099-01-01", *at)
    assert len(session.admin.nodes) == 9
    assert ctl.good("log", "--since", "2099-01-01", *at).json["records"] == []
    assert "Nothing of that" in ctl.good("log", "--since", "2099-01-01", *at[1:]).text
    session.server.stop()
    ctl.refused(ctl.NOT_FOUND, "nothing is kept from before", "restore", "--at", "1999-01-01", *at)
    ctl.refused(ctl.NOT_FOUND, "nothing is kept from before", "show", "1999-01-01", *at)


@pytest.mark.parametrize("verb", ["backup", "export", "report", "say", "pin", "show", "kick", "ban", "import", "check", "lock"])
def test_empty_arguments(session, verb):
    more = ["anna"] if verb == "lock" else []
    ctl.refused(ctl.USAGE, "an argument is empty", verb, "", *more, "--data-dir", session.server.data_dir)


def test_many_nodes_at_once(make_session):
    """One node that depends on thousands: all their uuids go to the daemon."""
    nodes = [(str(uuid.UUID(int=i + 1)), [], {"name": f"n{i}", "type_id": "Object"}) for i in range(3000)]
    nodes.append((str(uuid.UUID(int=9999)), [n[0] for n in nodes], {"name": "all", "type_id": "Collection"}))
    session = make_session(nodes)
    at = "--data-dir", session.server.data_dir
    ctl.good("save", *at)
    session.admin.edit(nodes[7][0], lambda data: data.update(name="other"))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", *at).json["updates"] >= 1, what="the edit")
    said = ctl.good("restore", "latest", "--node", "all", "--json", *at).json
    assert said["restored"] == 1 and said["unchanged"] == 3000
    session.fleet.wait_until(lambda: session.admin.nodes[nodes[7][0]].data["name"] == "n7", what="it to be back")


def test_bans_of_every_form(make_session):
    session = make_session(allow="127.0.0.0/8")
    session.join("ber.ta")
    at = "--json", "--data-dir", session.server.data_dir
    for junk in ("1.2.3", "999.1.1.1", "1.2.3.4/24", "example.org", "fe80::1%lo", "nobody"):
        ctl.refused(ctl.NOT_FOUND, "is neither an IP address nor somebody", "ban", junk, *at)
    for address in ("203.0.113.9", "2001:db8::1"):
        assert ctl.good("ban", address, *at).json["kicked"] == 0
        ctl.good("unban", address, *at)
    ctl.refused(ctl.REFUSED, "it is in `allow`", "ban", "ber.ta", *at)
    assert [u["name"] for u in ctl.good("users", *at).json["users"]] == ["anna", "ber.ta"], "nobody was put out for nothing"


def test_a_ban_of_an_address_puts_its_users_out(make_session):
    session = make_session(allow="192.0.2.1")
    berta = session.join("berta")
    assert ctl.good("ban", "127.0.0.1", "--json", "--data-dir", session.server.data_dir).json["kicked"] == 2
    session.fleet.wait_until(lambda: berta.state == session.admin.state == "left", what="both to be out")


def test_places_as_people_copy_them(session):
    port = session.server.ports[0]
    for place in ([f"127.0.0.1:{port}"], ["[127.0.0.1]", port], [f"localhost:{port}"]):
        assert ctl.good("check", *place, "--json").json["ok"], place
    ctl.refused(ctl.USAGE, "no first port", "check", "localhost:http")


def test_a_wrong_command_line_is_told_as_json_too(session):
    at = "--data-dir", session.server.data_dir
    for words, line in (("there is no verb frob", ["frob", "--json"]), ("there is no option --bogus", ["status", "--bogus", "--json"]),
                        ("nothing follows -n", ["--json", "log", "-n"]), ("there is no option -z", ["-z", "status", "--json"]),
                        ("it needs USER", ["kick", "--json"]), ("it needs VERB", ["--json"]),
                        ("is not a time", ["log", "--since", "noon", "--json"]),
                        ("is not a number", ["log", "--limit", "some", "--json"]),
                        ("no path behind --data-dir", ["status", "--json", "--data-dir", ""])):
        answer = ctl.refused(ctl.USAGE, words, *line)
        assert answer.json["error"]["code"] == "usage"
    answer = ctl.run("users", "--", "--json", *at)
    assert answer.status == ctl.USAGE and not answer.text, "what stands behind -- is no option"
    assert ctl.good("help", "kick").text == ctl.good("kick", "--help").text


def test_sentences_fit_the_terminal_but_not_the_journal(server):
    """There, each line would be a message of its own."""
    command = [ctl.program(), "show", "nope", "--data-dir", server.data_dir]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()
    assert len(lines) == 2 and max(map(len, lines)) <= 80, lines
    assert lines[1].endswith(f"`scenekeepctl -d '{server.data_dir}' snapshots`"), "what is to be typed is whole, and about it"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=False)
        assert ours.recv(4096).decode() == " ".join(lines) + "\n"


def test_times_that_look_like_options(session):
    at = "--data-dir", session.server.data_dir
    ctl.good("save", *at)
    said = "nothing is kept from before"
    for line in (["diff", "-1h", "now"], ["diff", "-1h"], ["diff", "now", "-90min"], ["show", "-2d"], ["show", "-1h 30min"],
                 ["diff", "--", "-1h", "now"]):
        ctl.refused(ctl.NOT_FOUND, said, *at, *line)
    assert ctl.good("log", "--since", "-1h", "--until", "-0s", *at).text
    ctl.refused(ctl.USAGE, "too many arguments, from -5", "users", "-5", *at)
    ctl.refused(ctl.NOT_FOUND, "nobody named \"-5\"", "kick", "-5", *at)
    ctl.refused(ctl.USAGE, "is a time: write `restore --at", "restore", "-1h", *at)
    ctl.refused(ctl.USAGE, "is a time: write `restore --at", "restore", "yesterday 14:00", *at)
    session.server.stop()
    ctl.refused(ctl.NOT_FOUND, "there is no snapshot \"yesterday\"", "restore", "yesterday", *at)


def test_what_cannot_be_meant(session, tmp_path):
    at = "--json", "--data-dir", session.server.data_dir
    page = tmp_path / "x.html"
    ctl.refused(ctl.USAGE, "no time between --since and --until", "report", page, "--since", "-1h", "--until", "-2h", *at)
    ctl.refused(ctl.USAGE, "no time between --since and now", "report", page, "--since", "2099-01-01", *at)
    ctl.refused(ctl.FAILED, "Is a directory", "import", tmp_path, *at)
    ctl.refused(ctl.USAGE, "is a file: `scenekeepctl import`", "restore", __file__, *at)
    ctl.refused(ctl.USAGE, "is no status of a task", "tasks", "--status", "in-progress", *at)
    ctl.refused(ctl.USAGE, "is no status of a task", "tasks", "add", "x", "--status", "half", *at)
    for line in (["say", b"\xff"], ["kick", b"\xff"], ["pin", b"\xff"], ["tasks", "add", b"\xff"]):
        done = subprocess.run([ctl.program().encode(), *line, *map(str, at)], capture_output=True, check=False)
        assert done.returncode == ctl.USAGE and b"is not UTF-8" in done.stderr, (line, done)
    assert os.listdir(tmp_path) == []


def test_a_daemon_that_hangs(server):
    """Whoever asks it is not kept for ever."""
    server.guarded = False
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        ctl.refused(ctl.NOT_RUNNING, "does not answer: it hangs", "status", "--json", "--data-dir", server.data_dir)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    ctl.good("status", "--data-dir", server.data_dir)


def test_a_closed_pipe_ends_it(session):
    command = f"{ctl.program()} status --watch --data-dir {session.server.data_dir} | head -n 3"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and done.stdout.startswith("Session") and "Traceback" not in done.stderr


def test_messy_environment_files(tmp_path):
    (tmp_path / "old" / "data").mkdir(parents=True)
    env = tmp_path / "old" / ".env"
    at = "--dry-run", "--json", "--data-dir", tmp_path / "new"
    env.write_bytes(b"# a comment\r\nexport PORT = 6000\r\n\r\nADMIN_PASSWORD='it is # not a comment' # this is\r\n"
                    b'SERVER_PASSWORD=""\r\nLOG_LEVEL="INFO"\r\nTIMEOUT=10000\r\n')
    answer = ctl.run("migrate", tmp_path / "old", *at)
    assert answer.status in (OK, ctl.USAGE, ctl.FAILED) and (not answer.error or ctl.is_one_sentence(answer.error)), answer
    json.loads(answer.text)
    for line in (b"PORT=abc\n", b"PORT=70000\n", b"PORT\n", b"ADMIN_PASSWORD='no end\n", b"TIMEOUT=-1\n", b"=x\n", b"\xff\xfe=1\n"):
        env.write_bytes(b"# first\n" + line)
        answer = ctl.run("migrate", tmp_path / "old", *at)
        assert answer.status != OK and ctl.is_one_sentence(answer.error) and ".env:2:" in answer.error, (line, answer)
    assert not os.path.exists(tmp_path / "new")


def test_nothing_comes_between_an_init(server, fleet, rng, tmp_path):
    """Neither a restore nor an import nor a snapshot: they say so, and the init goes on."""
    nodes = values.scene(4, rng)
    at = "--json", "--data-dir", server.data_dir
    with gzip.open(tmp_path / "x.db", "wb") as stream:
        pickle.dump({"nodes": [wire.node_frames(u, "COMMON", d, x) for u, d, x in nodes], "users": {}}, stream, protocol=4)
    admin = fleet.client(server.address, "anna", admin_password=ADMIN_PASSWORD).connect()
    admin.wait_state("lobby")
    admin.command(wire.Kind.SERVER_SNAPSHOT, {"STATE": "INIT", "SIZE": 4, "NODES": [n[0] for n in nodes]}, owner="server")
    fleet.wait_until(lambda: ctl.good("status", *at).json["state"] == "initialising", what="the init to begin")
    ctl.refused(ctl.REFUSED, "filling the session", "import", tmp_path / "x.db", *at)
    ctl.refused(ctl.REFUSED, "filling the session", "restore", "--at", "now", *at)
    for u, d, x in nodes:
        admin.command(wire.Kind.SERVER_SNAPSHOT, {"STATE": "SET", "DATA": wire.node_frames(u, "COMMON", d, x)}, owner="server")
    admin.command(wire.Kind.SERVER_SNAPSHOT, {"STATE": "END"}, owner="server")
    fleet.wait_until(lambda: ctl.good("status", *at).json["node_count"] == 4, what="the init to end")
    assert ctl.good("import", tmp_path / "x.db", *at).json["imported"] == 4


def on_a_terminal(*arguments, **environment):
    """What is shown there, standard error included."""
    main, end = pty.openpty()
    with subprocess.Popen([ctl.program(), *arguments], stdin=subprocess.DEVNULL, stdout=end, stderr=end,
                          env={**os.environ, "TERM": "xterm", **environment}) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                break
            shown += chunk
        os.close(main)
        process.wait(60)
    return shown.decode()


def test_colours_and_progress_are_for_terminals(session, tmp_path):
    at = "--data-dir", session.server.data_dir
    assert "\x1b[" in on_a_terminal("status", *at)
    for text in (on_a_terminal("status", *at, NO_COLOR="1"), on_a_terminal("status", *at, TERM="dumb"),
                 on_a_terminal("status", "--json", *at), ctl.good("status", *at).text):
        assert "\x1b" not in text
    assert "Exporting" in on_a_terminal("export", tmp_path / "x.db", *at)
    answer = ctl.good("export", tmp_path / "x.db", *at)
    assert "Exporting" not in answer.text + answer.error


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
