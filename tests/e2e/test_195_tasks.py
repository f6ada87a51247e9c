#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks stay, with clients that do what the add-on does: they send all that they know, however old, at each change."""

import itertools
import json
import os
import random
import signal
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from addon import Addon
from values import short_id


@pytest.fixture
def board(make_session):
    """A server that lets go of those who quit after a second."""
    return make_session(reconnect_grace="1s")


def panel(session, name):
    return Addon(session.join(name))


def settle(session):
    session.fleet.settle(*session.active())


def check(session, states, newcomer="zoe"):
    """Who joins now finds these tasks."""
    settle(session)
    addon = panel(session, newcomer)
    assert addon.told_tasks() == states
    session.send_away(addon.client)


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
    board.quit(bert.client, board.admin)
    if how:
        board.restart(how)
    carl = panel(board, "carl")
    assert carl.read_tasks() == {"roof": "done", "walls": "todo"}
    carl.set_status("walls", "in_progress")
    # What a client has sent is not told to it again.
    fleet.wait_until(lambda: carl.told_tasks() == {}, what="it to be known")
    board.quit(carl.client)
    if how:
        board.restart(how)
    check(board, {"roof": "done", "walls": "in_progress"})
    fleet.check_clean()


@pytest.mark.parametrize("restarts", [False, True])
def test_an_old_copy_changes_nothing(board, fleet, restarts):
    """The first makes it, the second changes it, the third goes on sending what it was; in every order of the three."""
    addons = [panel(board, name) for name in ("bert", "carl", "dora")]
    expected = {}
    for i, (first, second, third) in enumerate(itertools.permutations(addons)):
        first.add_task(f"roof {i}")
        for addon in (second, third):
            told(board, addon, [f"roof {i}"])
        second.set_status(f"roof {i}", "done")
        settle(board)
        if restarts:
            board.restart(signal.SIGKILL)
        third.add_task(f"walls {i}")
        first.add_task(f"door {i}")
        expected |= {f"roof {i}": "done", f"walls {i}": "todo", f"door {i}": "todo"}
        check(board, expected)
        for addon in (first, third):
            addon.client.metadata(tasks=json.dumps(addon.tasks))
        check(board, expected)
    # After coming back with the memory of before, of which each has another.
    board.quit(*(addon.client for addon in addons))
    for addon in addons:
        addon.client = board.join(addon.name)
        addon.client.metadata(tasks=json.dumps(addon.tasks))
        check(board, expected)
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


@pytest.mark.parametrize("order", [
    ("maker", "reader", "sender"), ("sender", "maker", "reader"), ("reader", "sender", "maker")])
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
    board.restart(signal.SIGKILL)
    for other in others:
        other.client.metadata(tasks=json.dumps(other.tasks))
    check(board, expected)
    board.quit(*(a.client for a in addons.values()), board.admin)
    board.restart(signal.SIGTERM)
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


@pytest.mark.parametrize("repeated", [False, True])
def test_what_a_client_has_only_read(board, fleet, repeated):
    """Deleting what was only read, with all else as sent before, looks like sending the same once more: who means it does it
    again, since the task comes back to the panel."""
    anna, bert = Addon(board.admin), panel(board, "bert")
    bert.add_task("door")
    settle(board)
    anna.add_task("roof")
    told(board, bert, ["roof"])
    bert.delete_task("roof")
    check(board, {"door": "todo", "roof": "todo"})
    if repeated:
        told(board, bert, ["roof"])
        time.sleep(1.1)
        bert.delete_task("roof")
        check(board, {"door": "todo"})
        assert bert.read_tasks() == {"door": "todo"}
    else:
        bert.set_status("door", "done")
        check(board, {"door": "done", "roof": "todo"})
    fleet.check_clean()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_deleting_what_was_sent_before_a_restart(board, fleet, how):
    """Its own ones, of which nothing that others have made tells whether it knows them; also by one who was away."""
    bert = panel(board, "bert")
    bert.client.metadata(chat_messages="[what is tried again at each start")
    for title in ("roof", "walls", "door"):
        bert.add_task(title)
    settle(board)
    board.restart(how)
    bert.delete_task("walls")
    check(board, {"roof": "todo", "door": "todo"})
    board.quit(bert.client)
    board.restart(how)
    bert.client = board.join("bert")
    bert.delete_task("roof")
    check(board, {"door": "todo"})
    fleet.check_clean()


class World:
    """Three users, what they have done, and what there must be after that."""

    def __init__(self, session, random):
        self.session, self.random = session, random
        self.addons = {name: None for name in ("bert", "carl", "dora")}
        self.memories = {}
        self.tasks, self.said, self.n = {}, [], 0

    def _title(self):
        self.n += 1
        return f"{self.n}"

    def act(self, name):
        """One thing that a user does at its screen, where the panels have been drawn."""
        addon = self.addons[name]
        if addon is None:
            return self.come(name)
        settle(self.session)
        told(self.session, addon, self.tasks)
        addon.read_chat()
        known = sorted(t for t in addon.states() if t in self.tasks)
        what = self.random.choice(("add", "change", "delete", "say", "view", "again", "go"))
        if what == "add" or what in ("change", "delete") and not known:
            title = self._title()
            addon.add_task(title)
            self.tasks[title] = "todo"
        elif what == "change":
            title, status = self.random.choice(known), f"status {self._title()}"
            addon.set_status(title, status)
            self.tasks[title] = status
        elif what == "delete":
            self.delete(addon, self.random.choice(known))
        elif what == "say":
            text = self._title()
            addon.say(text)
            self.said.append(text)
        elif what == "view":
            addon.move_view()
        elif what == "again":
            addon.client.metadata(tasks=json.dumps(addon.tasks))
        else:
            self.go(name)
        return what

    def delete(self, addon, title):
        addon.delete_task(title)
        del self.tasks[title]
        settle(self.session)
        if title in addon.read_tasks():
            time.sleep(1.1)
            addon.delete_task(title)
            settle(self.session)
            self.session.fleet.wait_until(lambda: title not in addon.told_tasks(), what=f"{title} to be deleted")

    def come(self, name):
        client = self.session.join(name)
        addon = self.memories.pop(name, None) if self.random.random() < 0.7 else None
        self.addons[name] = addon or Addon(client)
        self.addons[name].client = client
        return "come"

    def go(self, name):
        settle(self.session)
        addon, self.addons[name] = self.addons[name], None
        self.memories[name] = addon
        self.session.quit(addon.client)

    def restart(self):
        settle(self.session)
        self.session.restart(self.random.choice((signal.SIGTERM, signal.SIGKILL)))

    def check(self):
        settle(self.session)
        zoe = panel(self.session, "zoe")
        for addon in [a for a in self.addons.values() if a] + [zoe]:
            self.session.fleet.wait_until(lambda a=addon: a.told_chat() == self.said,
                                          what=f"{addon.name} to be told {self.said}, not {addon.told_chat()}")
            addon.read_chat()
            ids = [m["id"] for m in addon.messages]
            assert len(ids) == len(set(ids)) and addon.unread <= len(ids), "twice"
        assert zoe.told_tasks() == self.tasks and zoe.texts() == self.said
        self.session.send_away(zoe.client)


def test_three_users_come_and_go(board, fleet):
    """Each comes when the one before has left, adds, changes and deletes. Then they come back in every order, with what
    they remember, and go in every order. In between the server is restarted."""
    names = ("bert", "carl", "dora")
    addons, expected = {}, {}
    how = itertools.cycle((signal.SIGTERM, signal.SIGKILL))
    for i, name in enumerate(names):
        addon = addons[name] = panel(board, name)
        told(board, addon, expected)
        for n in range(6):
            addon.add_task(f"{n} of {name}")
            expected[f"{n} of {name}"] = "todo"
        addon.add_task(f"first of {name}")
        expected[f"first of {name}"] = "todo"
        if i > 0:
            before = names[i - 1]
            addon.set_status(f"0 of {before}", f"by {name}")
            expected[f"0 of {before}"] = f"by {name}"
            addon.delete_task(f"first of {before}")
            del expected[f"first of {before}"]
        settle(board)
        board.restart(next(how))
        board.quit(addon.client)
    check(board, expected)
    orders = list(itertools.permutations(names))
    for n, (coming, going) in enumerate(zip(orders, orders[3:] + orders[:3])):
        for name in coming:
            addons[name].client = board.join(name)
            addons[name].delete_task(f"{n} of {name}")
            del expected[f"{n} of {name}"]
        settle(board)
        if n % 2 == 0:
            board.restart(next(how))
        for addon in addons.values():
            addon.client.metadata(tasks=json.dumps(addon.tasks))
        check(board, expected)
        board.quit(*(addons[name].client for name in going))
    check(board, expected)
    fleet.check_clean()


def test_three_users_at_random(board, fleet):
    seed = int(os.environ.get("SCENEKEEP_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"# SCENEKEEP_SEED={seed}")
    world = World(board, random.Random(seed))
    steps = []
    try:
        for i in range(36):
            name = world.random.choice(sorted(world.addons))
            steps.append((name, world.act(name)))
            if i % 12 == 11:
                steps.append(("restart", world.restart()))
            if i % 6 == 5:
                world.check()
    except BaseException:
        print(f"# SCENEKEEP_SEED={seed}, after {steps}")
        raise
    fleet.check_clean()


GOOD = {"id": "1.5", "title": "good"}


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "7", "{" * 50, '{"a": ' * 30 + "1" + "}" * 30, '{"1": 5}', '{"1": {"id": "1"}}', b"x", 5,
    json.dumps({"2": GOOD}), json.dumps({"1.5": {**GOOD, "title": None}}), json.dumps({"1.5": {**GOOD, "status": 5}}),
    json.dumps({"1.5": GOOD, "6": {"id": "6", "title": "x", "created_at": "now"}}),
    json.dumps({str(i): {"id": str(i), "title": ""} for i in range(2000)})], ids=short_id)
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


def test_a_list_of_ten_megabytes(board, fleet):
    """It is refused, and whoever sent it goes on."""
    anna, bert = Addon(board.admin), panel(board, "bert")
    anna.add_task("kept")
    told(board, bert, ["kept"])
    bert.client.metadata(tasks=json.dumps({"5": {"id": "5", "title": "x" * 10_000_000}}))
    bert.client.metadata(tasks=json.dumps({f"{i}": {"id": f"{i}", "title": "y" * 90} for i in range(100_000)}))
    bert.add_task("good")
    check(board, {"kept": "todo", "good": "todo"})
    assert bert.client.state == "active"
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
