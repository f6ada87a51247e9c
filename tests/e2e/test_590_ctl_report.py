#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that `report` draws, and what `doctor` finds."""

import html.parser
import os
import signal
import sys

import tap  # first: it says which packages are missing
import ctl
import pytest


class Page(html.parser.HTMLParser):
    """The text of a page, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for key, value in attrs if key in ("src", "href", "xlink:href")]

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("running", [True, False])
def test_report(make_session, tmp_path, running):
    session = make_session()
    folder = "--data-dir", session.server.data_dir
    berta = session.join("<b>erta")
    node = session.uuids[0]
    berta.edit(node, lambda data: data.update(name="<script>alert(1)</script>"))
    session.fleet.wait_until(lambda: "alert" in str(session.admin.nodes[node].data["name"]), what="the edit to arrive")
    ctl.good("save", "--pin", *folder)
    if not running:
        session.server.stop()
    path = tmp_path / "page.html"
    answer = ctl.good("report", path, "--json", *folder).json
    assert answer["users"] == 2 and answer["nodes"] == 9 and answer["snapshots"] >= 1 and answer["gaps"] == 0
    page = Page(path.read_text(encoding="utf-8"))
    text = " ".join(page.words)
    assert "<b>erta" in text and "anna" in text and "<script>alert(1)</script>" in text and "manual" in text
    assert page.tags.count("svg") == 2 and "script" not in page.tags and not page.loaded
    assert page.tags.count("rect") >= 2 and page.tags.count("circle") >= 1
    assert os.listdir(tmp_path) == ["page.html"]
    assert "9 nodes" in ctl.good("report", path, "--since", "2 hours ago", *folder).flat


def test_restarts_are_drawn(session, tmp_path):
    """Also those of which no snapshot tells."""
    folder = "--data-dir", session.server.data_dir
    for n in (1, 2):
        session.server.guarded = False
        session.server.restart(signal.SIGKILL)
        session.fleet.wait_until(lambda n=n: ctl.good("status", "--json", *folder).json["restart_users_kept"] == 1, what="the admin")
    session.admin.edit(session.uuids[0], lambda data: data.update(props={"a": 1}))
    session.fleet.wait_until(lambda: ctl.good("status", "--json", *folder).json["updates"] > 0, what="the edit")
    ctl.good("save", "--pin", "milestone", *folder)
    assert ctl.good("report", tmp_path / "x.html", "--json", *folder).json["restarts"] == 2
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.count("started anew, 2") == 2 and "pinned milestone" in text


def test_report_refusals(session, tmp_path):
    folder = "--data-dir", session.server.data_dir
    ctl.refused(ctl.FAILED, "cannot write", "report", "/proc/nowhere/x.html", "--json", *folder)
    ctl.refused(ctl.USAGE, "not a time", "report", tmp_path / "x.html", "--since", "whenever", *folder)
    ctl.refused(ctl.NOT_FOUND, "no session in", "report", tmp_path / "x.html", "--json", "--data-dir", tmp_path / "nowhere")


def findings(server):
    answer = ctl.run("doctor", "--json", "--data-dir", server.data_dir)
    listed = {f["check"]: f for f in answer.json["findings"]}
    bad = [f for f in listed.values() if not f["ok"]]
    assert answer.status == (ctl.DEGRADED if bad else ctl.OK) and answer.json["to_mend"] == len(bad), answer
    assert all(bool(f["command"]) != f["ok"] for f in listed.values())
    return listed


def test_doctor(session):
    server = session.server
    listed = findings(server)
    assert set(listed) == {"session", "units", "ports", "firewall", "clock", "disk", "space", "memory", "permissions"}
    assert listed["ports"]["ok"] and str(server.ports[0]) in listed["ports"]["text"]
    assert listed["permissions"]["ok"] and listed["session"]["ok"]
    os.chmod(server.data_dir, 0o755)
    listed = findings(server)
    assert listed["permissions"]["command"] == f"chmod o-rwx '{server.data_dir}'"
    assert "permissions" in ctl.run("doctor", "--data-dir", server.data_dir).text
    os.chmod(server.data_dir, 0o700)
    server.stop()
    assert "not running" in findings(server)["session"]["text"]
    ctl.refused(ctl.NOT_FOUND, "no session in", "doctor", "--json", "--data-dir", server.folder + "/nowhere")


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
