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
    for name, kind in families:
        assert re.search(rf"^{name}{'_total' if kind == 'counter' else ''}\{{", text, re.M), name
    assert 'user="anna"} ' in text


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
