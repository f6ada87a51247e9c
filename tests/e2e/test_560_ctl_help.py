#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Help, manual, completion and metrics: they know every verb, and nothing that is not there."""

import os
import re
import subprocess
import sys

import tap  # first: it says which packages are missing
import ctl
import openmetrics

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def verbs():
    text = ctl.good("--help").text
    return re.findall(r"^  ([a-z]+) ", text.split("Verbs:")[1].split("\n\n")[0], re.M)


def manual():
    with open(os.path.join(TOP, "src", "man", "scenekeepctl.1"), encoding="utf-8") as stream:
        return stream.read()


def test_help():
    assert len(verbs()) > 20 and sorted(set(verbs())) == sorted(verbs())
    for verb in verbs():
        text = ctl.good(verb, "--help").text
        assert text.startswith(f"Usage: scenekeepctl {verb} ")


def test_manual_has_every_verb_with_an_example():
    text = manual()
    for verb in verbs():
        assert re.search(rf"^\.It Cm (\w+ Ar \w+ , Cm )?{verb}\b", text, re.M), verb
        assert re.search(rf"^\.Dl .*scenekeepctl (-i \w+ )?{verb}\b", text, re.M), verb
    described = set(re.findall(r"^\.It Cm (\w+)", text, re.M)) | set(re.findall(r", Cm (\w+)", text))
    assert described == set(verbs())


def test_manual_has_every_option():
    text = manual()
    for verb in verbs():
        for option in re.findall(r"--([a-z-]+)", ctl.good(verb, "--help").text):
            assert f"Fl -{option}" in text, (verb, option)


def complete(*words, environment=None):
    script = os.path.join(TOP, "src", "ctl", "completion", "scenekeepctl")
    line = " ".join(f"'{w}'" for w in words)
    command = (f"source '{script}'; COMP_WORDS=(scenekeepctl {line}); COMP_CWORD={len(words)}; _scenekeepctl; "
               'printf "%s\\n" "${COMPREPLY[@]}"')
    path = os.path.dirname(ctl.program()) + ":" + os.environ["PATH"]
    out = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert not out.stderr, out.stderr
    return out.stdout.split()


def test_completion(session):
    folder = "--data-dir", session.server.data_dir
    assert complete("") == verbs() and complete("sn") == ["snapshots"]
    assert "--node" in complete("restore", "--") and "--tree" not in complete("restore", "--")
    ctl.good("save", *folder)
    assert complete(*folder, "show", "") == ["now", "latest", "1"]
    assert complete(*folder, "kick", "a") == ["anna"] and complete(*folder, "log", "--user", "") == ["anna"]
    name = session.admin.nodes[session.uuids[0]].data["name"]
    assert name == "mesh 0" and complete(*folder, "unlock", "mesh 0") == ["mesh\\", "0"]
    assert complete(*folder, "restore", "latest", "--node", "al") == ["all"]
    assert complete(*folder, "lock", "al") == ["all"] and complete(*folder, "lock", "all", "an") == ["anna"]


def metrics(server):
    return openmetrics.parse(ctl.run("metrics", "--data-dir", server.data_dir).text)


def value(families, family, sample=None, **labels):
    labels = tuple(sorted({"session": "default", **labels}.items()))
    return families[family].samples[sample or family, labels]


def test_metrics(session):
    session.join('ber"ta\\')
    families = metrics(session.server)
    assert value(families, "scenekeep_nodes") == 9 and value(families, "scenekeep_users") == 2
    assert value(families, "scenekeep_degraded") == 0 and value(families, "scenekeep_drops", "scenekeep_drops_total") == 0
    assert value(families, "scenekeep_joins", "scenekeep_joins_total") == 1
    assert value(families, "scenekeep_records", "scenekeep_records_total") > 9
    assert value(families, "scenekeep_user_backlog_bytes", user='ber"ta\\') >= 0
    wanted = {"updates": "counter", "received_bytes": "counter", "drops": "counter", "backlog_bytes": "gauge",
              "durable_lag_seconds": "histogram", "save_seconds": "histogram", "loop_turn_seconds": "histogram",
              "loop_turn_max_seconds": "gauge", "scrub_damaged": "gauge", "users": "gauge",
              "joins": "counter", "failed_logins": "counter", "restarts_survived": "counter"}
    assert {n: families["scenekeep_" + n].kind for n in wanted} == wanted
    assert 0 < value(families, "scenekeep_loop_turn_max_seconds") <= value(families, "scenekeep_loop_turn_seconds",
                                                                           "scenekeep_loop_turn_seconds_sum")
    assert families["scenekeep_save_seconds"].unit == "seconds" and families["scenekeep_log_bytes"].unit == "bytes"


def backlog(session):
    users = ctl.good("users", "--json", "--data-dir", session.server.data_dir).json["users"]
    return {u["name"]: u["backlog_bytes"] for u in users}


def test_the_books_of_updates_balance(make_session, make_proxy):
    """A client that does not read gets whole nodes later instead of what it missed; nothing is just dropped."""
    session = make_session(max_client_backlog="1M", join_ahead="64K", backlog_timeout="10min")
    line = make_proxy(session.server)
    host, ports = line.address
    slow = session.fleet.client((host, [*ports[:2], session.server.ports[2]]), "berta").connect()
    session.fleet.wait_active(slow)
    line.stall()
    for i in range(120):
        session.admin.edit(session.uuids[0], lambda data, i=i: data.update(large=bytes([i]) * 200_000))
    session.fleet.wait_until(lambda: value(metrics(session.server), "scenekeep_sends_postponed",
                                           "scenekeep_sends_postponed_total") > 0, what="updates to be put off")
    assert backlog(session)["berta"] > 0
    line.resume()
    session.fleet.wait_until(lambda: slow.nodes[session.uuids[0]].state() == session.admin.nodes[session.uuids[0]].state(),
                             what="the slow one to catch up")
    session.fleet.wait_until(lambda: backlog(session) == {"anna": 0, "berta": 0}, what="nothing to wait for anybody")
    network = ctl.good("status", "--json", "--data-dir", session.server.data_dir).json["network"]
    assert network["drops"] == 0 and network["postponed"] > 0
    assert network["updates_taken"] == network["updates_sent"] + network["updates_waiting"] + network["updates_void"] > 0


def test_restarts_are_counted(make_session):
    session = make_session(timeout=4)
    folder = "--data-dir", session.server.data_dir
    berta = session.join("berta")
    assert "0 survived" in ctl.good("status", *folder).text
    for n in (1, 2):
        session.server.kill()
        if n == 2:
            berta.close()
        session.server.start()
        session.fleet.wait_until(lambda n=n: ctl.good("status", "--json", *folder).json["restart_users_kept"] == 3 - n,
                                 what="the users to be back")
        status = ctl.good("status", "--json", *folder).json
        assert status["restarts_survived"] == n and status["restart_users"] == 2
        assert f"{n} survived, {3 - n} of 2 users kept" in ctl.good("status", *folder).text
    families = metrics(session.server)
    assert value(families, "scenekeep_restarts_survived", "scenekeep_restarts_survived_total") == 2
    assert value(families, "scenekeep_restart_users_kept") == 1
    session.server.stop()
    stopped = ctl.run("status", "--json", *folder)
    assert stopped.status == ctl.NOT_RUNNING and stopped.json["restarts_survived"] == 2
    assert "2 survived" in ctl.run("status", *folder).text


def ask(session, request):
    answer = ctl.run("metrics", "--http", "--data-dir", session.server.data_dir, stdin=request)
    head, _, body = answer.text.partition("\r\n\r\n")
    assert answer.status == ctl.OK and f"Content-Length: {len(body.encode())}" in head, answer
    return head.splitlines()[0].split()[1], body


def test_metrics_over_http(session):
    ctl.good("save", "--data-dir", session.server.data_dir)  # which makes everything durable
    status, body = ask(session, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
    assert status == "200" and body.endswith("# EOF\n") and "scenekeep_nodes" in body
    assert re.search(r'^scenekeep_durable_lag_seconds_bucket\{session="default",le="\+Inf"\} ([1-9]\d*)$', body, re.M)
    assert 'scenekeep_up{session="default"} 1' in body and 'scenekeep_logins_total{session="default"} 1' in body
    assert ask(session, b"GET /other HTTP/1.1\r\n\r\n")[0] == "404"
    assert ask(session, b"POST /metrics HTTP/1.1\r\n\r\n")[0] == "405"
    assert ask(session, b"\x16\x03\x01" * 50)[0] == "400" and ask(session, b"GET " * 9000)[0] == "400"
    session.server.stop()
    assert ctl.run("metrics", "--http", "--data-dir", session.server.data_dir,
                   stdin=b"GET /metrics HTTP/1.0\r\n\r\n").text.startswith("HTTP/1.1 503 ")


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
