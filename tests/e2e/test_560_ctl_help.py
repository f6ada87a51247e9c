#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Help, manual, completion and metrics: they know every verb, and nothing that is not there."""

import os
import re
import subprocess
import sys

import tap  # first: it says which packages are missing
import ctl

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
    assert complete(*folder, "kick", "a") == ["anna"]


def test_metrics(session):
    folder = "--data-dir", session.server.data_dir
    text = ctl.run("metrics", *folder).text
    assert text.endswith("# EOF\n")
    samples = dict(re.findall(r"^(\w+)\{session=\"default\"\} ([\d.]+)$", text, re.M))
    assert samples["scenekeep_nodes"] == "9" and samples["scenekeep_users"] == "1" and float(samples["scenekeep_degraded"]) == 0
    assert int(samples["scenekeep_records_total"]) > 9
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
    assert len(families) == len(set(families)) > 20
    suffixes = {"counter": "_total", "histogram": "_bucket"}
    for name, kind in families:
        assert re.search(rf"^{name}{suffixes.get(kind, '')}\{{", text, re.M), name
    assert 'user="anna"} ' in text


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
