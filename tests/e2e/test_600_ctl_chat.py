#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat and tasks from the command line, seen by clients at once."""

import json
import signal
import subprocess
import sys

import tap  # first: it says which packages are missing
import ctl
from addon import Addon


def at(server):
    return "--data-dir", server.data_dir


def messages(server, *arguments):
    return ctl.good("chat", "--json", *arguments, *at(server)).json["messages"]


def tasks(server, *arguments):
    return {t["title"]: t["status"] for t in ctl.good("tasks", "--json", *arguments, *at(server)).json["tasks"]}


def test_said_by_the_operator(session, fleet):
    bert = Addon(session.join("bert"))
    assert ctl.good("say", "Lunch at noon", *at(session.server)).text == "Said to everybody, and to who joins later.\n"
    for addon in (bert, Addon(session.admin)):
        fleet.wait_until(lambda a=addon: a.told_chat() == ["Lunch at noon"], what="what the operator said")
    bert.read_chat()
    bert.say("größer\n\x1b[31m" + "long " * 40)
    fleet.wait_until(lambda: len(messages(session.server)) == 2, what="the answer")
    last = messages(session.server)[-1]
    assert last["username"] == "bert" and last["message"] == bert.texts()[-1] and last["number"] == 2
    text = ctl.good("chat", *at(session.server)).text
    assert "server: Lunch at noon" in text and "\x1b" not in text
    assert messages(session.server, "--since", "@4000000000") == []
    assert len(messages(session.server, "--since", "-1h")) == 2
    ctl.refused(ctl.USAGE, "an argument is empty", "say", "", *at(session.server))
    ctl.refused(ctl.USAGE, "empty, or too long", "say", "x" * 20000, *at(session.server))
    session.server.stop()
    assert len(messages(session.server)) == 2, "of a stopped session"
    ctl.refused(ctl.NOT_RUNNING, "no daemon answers", "say", "x", *at(session.server))


def test_follow(session, fleet):
    ctl.good("say", "first", *at(session.server))
    command = [ctl.program(), "chat", "--follow", *map(str, at(session.server))]
    # One that is started in the background of a script is deaf to it.
    hear = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear) as process:
        try:
            assert process.stdout.readline().endswith("server: first\n")
            Addon(session.admin).say("second")
            fleet.settle(session.admin, session.join("bert"))
            assert process.stdout.readline().endswith("anna: second\n")
            for number in signal.SIGTERM, signal.SIGKILL:
                session.server.send_signal(number)
                session.server.wait_exit()
                assert "waiting for it to come back" in process.stderr.readline()
                session.server.start()
                fleet.wait_active(*session.users)
                ctl.good("say", number.name, *at(session.server))
                assert process.stdout.readline().endswith(f"server: {number.name}\n"), "once, and what came before not again"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT and process.communicate() == ("", "")
        finally:
            process.kill()


def test_chat_is_switched_off(make_session):
    session = make_session(chat_history=0)
    ctl.refused(ctl.REFUSED, "chat_history is 0", "say", "hello", *at(session.server))


def test_tasks(session, fleet):
    bert = Addon(session.join("bert"))
    ident = ctl.good("tasks", "add", "Model the roof", "--assigned", "bert", "--json", *at(session.server)).json["id"]
    ctl.good("tasks", "add", "Walls", *at(session.server))
    fleet.wait_until(lambda: bert.told_tasks() == {"Model the roof": "todo", "Walls": "todo"}, what="both tasks")
    bert.read_tasks()
    bert.set_status("Walls", "in_progress")
    fleet.wait_until(lambda: tasks(session.server)["Walls"] == "in_progress", what="the user's change")
    assert f"Task {ident} is done." in ctl.good("tasks", "done", "Model the roof", *at(session.server)).text
    fleet.wait_until(lambda: bert.told_tasks().get("Model the roof") == "done", what="the new state")
    assert tasks(session.server, "--status", "done") == tasks(session.server, "--assigned", "bert") == {
        "Model the roof": "done"}
    assert "Model the roof" in ctl.good("tasks", *at(session.server)).text
    ctl.good("tasks", "rm", ident, *at(session.server))
    # The user's client still has it, and sends it with the next change.
    bert.set_status("Walls", "done")
    fleet.wait_until(lambda: tasks(session.server) == {"Walls": "done"}, what="one task")
    fleet.wait_until(lambda: Addon(session.admin).told_tasks() == {"Walls": "done"}, what="one task")
    ctl.refused(ctl.NOT_FOUND, "there is no task", "tasks", "done", ident, *at(session.server))
    ctl.refused(ctl.USAGE, "not \"drop\"", "tasks", "drop", "x", *at(session.server))
    ctl.refused(ctl.USAGE, "needs one task", "tasks", "add", *at(session.server))
    session.server.stop()
    assert tasks(session.server) == {"Walls": "done"}, "of a stopped session"


def test_a_restore_leaves_chat_and_tasks(session):
    snapshot = ctl.good("save", "--json", *at(session.server)).json["name"]
    ctl.good("say", "after the snapshot", *at(session.server))
    ctl.good("tasks", "add", "later", *at(session.server))
    session.admin.delete(session.uuids[8])
    session.fleet.wait_until(lambda: session.uuids[8] not in session.admin.nodes, what="the node to be deleted")
    assert json.loads(ctl.good("restore", snapshot, "--json", *at(session.server)).text)["restored"] == 1
    assert [m["message"] for m in messages(session.server)] == ["after the snapshot"]
    assert tasks(session.server) == {"later": "todo"}


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
