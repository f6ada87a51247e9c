#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks stay, with clients that do what the add-on does: they send all that they know, however old, at each change."""

import itertools
import json
import signal
import sys

import tap  # first: it says which packages are missing
import pytest

from addon import Addon


@pytest.fixture
def board(make_session):
    """A server that lets go of those who quit after a second."""
    return make_session(reconnect_grace="1s")


def panel(session, name):
    return Addon(session.join(name))


def quit_all(session, *clients):
    for client in clients:
        mark = session.server.mark()
        client.disconnect()
        session.server.wait_log(rf"{client.name} has left", fleet=session.fleet, mark=mark)
        session.users.remove(client)


def settle(session):
    session.fleet.settle(*(u for u in session.users if u.state == "active"))


def check(session, states, newcomer="zoe"):
    """Who joins now finds these tasks."""
    settle(session)
    addon = panel(session, newcomer)
    assert addon.told_tasks() == states
    quit_all(session, addon.client)


def told(session, addon, titles):
    session.fleet.wait_until(lambda: set(addon.told_tasks()) | set(addon.tasks[i]["title"] for i in addon.tasks) >= set(titles),
                             what=f"{addon.name} to know {titles}")
    addon.read_tasks()


@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGKILL])
def test_tasks_stay(board, fleet, how):
    bert = panel(board, "bert")
    bert.add_task("roof")
    bert.add_task("walls")
    bert.set_status("roof", "done")
    settle(board)
    quit_all(board, bert.client, board.admin)
    if how:
        board.server.restart(how)
    carl = panel(board, "carl")
    assert carl.read_tasks() == {"roof": "done", "walls": "todo"}
    carl.set_status("walls", "in_progress")
    # What a client has sent is not told to it again.
    fleet.wait_until(lambda: carl.told_tasks() == {}, what="it to be known")
    quit_all(board, carl.client)
    if how:
        board.server.restart(how)
    check(board, {"roof": "done", "walls": "in_progress"})
    fleet.check_clean()


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("order", itertools.permutations(("bert", "carl", "dora")))
def test_an_old_copy_changes_nothing(board, fleet, order, restarts):
    """The first makes it, the second changes it, the third goes on sending what it was."""
    first, second, third = (panel(board, name) for name in order)
    first.add_task("roof")
    for addon in (second, third):
        told(board, addon, ["roof"])
    second.set_status("roof", "done")
    settle(board)
    if restarts:
        board.server.restart(signal.SIGKILL)
        fleet.wait_active(board.admin, first.client, second.client, third.client)
    third.add_task("walls")
    first.add_task("door")
    check(board, {"roof": "done", "walls": "todo", "door": "todo"})
    # The same once more, and after coming back with the memory of before.
    for addon in (first, third):
        addon.client.metadata(tasks=json.dumps(addon.tasks))
    check(board, {"roof": "done", "walls": "todo", "door": "todo"})
    quit_all(board, third.client)
    third.client = board.join(third.name)
    third.client.metadata(tasks=json.dumps(third.tasks))
    check(board, {"roof": "done", "walls": "todo", "door": "todo"})
    fleet.check_clean()


def test_changes_by_several(board, fleet):
    anna, bert = Addon(board.admin), panel(board, "bert")
    anna.add_task("roof")
    told(board, bert, ["roof"])
    for status in ("in_progress", "done", "todo", "done"):
        bert.set_status("roof", status)
        check(board, {"roof": status})
    anna.set_status("roof", "in_progress")
    check(board, {"roof": "in_progress"})
    # Back to what it was long ago, by one who has not sent it before.
    carl = panel(board, "carl")
    carl.read_tasks()
    carl.set_status("roof", "done")
    check(board, {"roof": "done"})
    fleet.check_clean()


@pytest.mark.parametrize("order", itertools.permutations(("maker", "reader", "sender")))
def test_a_deleted_task_stays_away(board, fleet, order):
    """Deleted by the one who made it, by one who has only read it, or by one who has sent it as well; the others, who have it
    for ever, do not bring it back."""
    addons = {name: panel(board, name) for name in order}
    addons["maker"].add_task("roof")
    addons["maker"].add_task("walls")
    for name in ("reader", "sender"):
        told(board, addons[name], ["roof", "walls"])
    addons["sender"].add_task("door")
    settle(board)
    deleter, *others = (addons[name] for name in order)
    deleter.delete_task("roof")
    check(board, {"walls": "todo", "door": "todo"})
    assert "roof" not in deleter.read_tasks() or deleter is addons["reader"]
    for other in others:
        other.add_task(f"of {other.name}")
    expected = {"walls": "todo", "door": "todo", **{f"of {o.name}": "todo" for o in others}}
    check(board, expected)
    board.server.restart(signal.SIGKILL)
    fleet.wait_active(board.admin, *(a.client for a in addons.values()))
    for other in others:
        other.client.metadata(tasks=json.dumps(other.tasks))
    check(board, expected)
    quit_all(board, *(a.client for a in addons.values()), board.admin)
    board.server.restart(signal.SIGTERM)
    for other in others:
        other.client = board.join(other.name)
        other.add_task(f"of {other.name} later")
        expected[f"of {other.name} later"] = "todo"
    check(board, expected)
    fleet.check_clean()


def test_deleting_the_only_task_that_there_is(board, fleet):
    Addon(board.admin).add_task("roof")
    bert = panel(board, "bert")
    told(board, bert, ["roof"])
    bert.delete_task("roof")
    check(board, {})
    assert Addon(bert.client).read_tasks() == {}
    fleet.check_clean()


def test_a_task_that_a_client_never_saw_is_not_deleted(board, fleet):
    anna, bert = Addon(board.admin), panel(board, "bert")
    anna.add_task("roof")
    told(board, bert, ["roof"])
    anna.add_task("walls")
    settle(board)
    bert.set_status("roof", "done")
    bert.add_task("door")
    bert.delete_task("door")
    bert.client.metadata(tasks=json.dumps(bert.tasks))
    check(board, {"roof": "done", "walls": "todo"})
    fleet.check_clean()


GOOD = {"id": "1.5", "title": "good"}


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "7", "{" * 50, '{"a": ' * 30 + "1" + "}" * 30, '{"1": 5}', '{"1": {"id": "1"}}', b"x", 5,
    json.dumps({"2": GOOD}), json.dumps({"1.5": {**GOOD, "title": None}}), json.dumps({"1.5": {**GOOD, "status": 5}}),
    json.dumps({"1.5": GOOD, "6": {"id": "6", "title": "x", "created_at": "now"}}),
    json.dumps({str(i): {"id": str(i), "title": ""} for i in range(2000)})])
def test_malformed_tasks_are_passed_on_and_not_merged(session, fleet, text):
    anna, bert = Addon(session.admin), panel(session, "bert")
    anna.add_task("kept")
    told(session, bert, ["kept"])
    bert.client.metadata(tasks=text)
    carl = session.join("carl")
    fleet.wait_until(lambda: carl.users["bert"]["metadata"].get("tasks", 0) == text, what="it, as it was sent")
    assert json.loads(carl.users["anna"]["metadata"]["tasks"]).popitem()[1]["title"] == "kept"
    bert.add_task("new")
    fleet.wait_until(lambda: Addon(carl).told_tasks() == {"kept": "todo", "new": "todo"}, what="what came after it")
    fleet.check_clean()


def test_very_many_tasks_are_bounded(session, fleet):
    bert = panel(session, "bert")
    for i in range(20):
        bert.client.metadata(tasks=json.dumps({f"{i}.{j}": {"id": f"{i}.{j}", "title": "x" * 5000} for j in range(20)}))
        settle(session)
    carl = session.join("carl")
    own = carl.users["anna"]["metadata"].get("tasks", "")
    assert len(own) <= 300_000, len(own)
    fleet.check_clean()


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
