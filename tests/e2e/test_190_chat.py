#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat stays, and everybody who joins finds it, with clients that do what the add-on does."""

import itertools
import json
import signal
import sys
import time

import tap  # first: it says which packages are missing
import pytest

from addon import Addon
from values import short_id
from wire import Kind


@pytest.fixture
def chat(make_session):
    """A server that lets go of those who quit after a second."""
    return make_session(reconnect_grace="1s")


def panel(session, name):
    return Addon(session.join(name))


def told(session, addon, texts, what="chat"):
    """This is what there is to read, no less and no more, and in this order."""
    session.fleet.wait_until(lambda: addon.told_chat() == texts,
                             what=f"{addon.name} to be told {texts}, not {addon.told_chat()}")


def test_one_who_joins_reads_what_was_said(chat, fleet):
    anna, bert = Addon(chat.admin), panel(chat, "bert")
    anna.say("hello")
    told(chat, bert, ["hello"])
    bert.read_chat()
    bert.say("hi")
    told(chat, anna, ["hello", "hi"])
    anna.read_chat()
    anna.say("größer \U0001F600")
    everything = ["hello", "hi", "größer \U0001F600"]
    carl = panel(chat, "carl")
    for addon in (anna, bert, carl):
        told(chat, addon, everything)
        assert addon.read_chat() == everything
        unread = addon.unread
        assert addon.read_chat() == everything and addon.unread == unread, "read twice"
    fleet.check_clean()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_history_after_everybody_has_left_and_a_restart(chat, fleet, how):
    anna, bert = Addon(chat.admin), panel(chat, "bert")
    everything = []
    for i in range(5):
        for addon, text in (bert, f"message {i}"), (anna, f"answer {i}"):
            addon.read_chat()
            addon.say(text)
            everything.append(text)
            told(chat, anna, everything)
            told(chat, bert, everything)
    chat.quit(bert.client, chat.admin)
    chat.restart(how)
    dora = panel(chat, "dora")
    told(chat, dora, everything)
    fleet.check_clean()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_those_who_stay_over_a_restart(chat, fleet, how):
    anna, bert = Addon(chat.admin), panel(chat, "bert")
    anna.say("before")
    told(chat, bert, ["before"])
    chat.restart(how)
    bert.read_chat()
    bert.say("after")
    for addon in (anna, bert):
        told(chat, addon, ["before", "after"])
    assert anna.read_chat() == ["before", "after"]
    carl = panel(chat, "carl")
    told(chat, carl, ["before", "after"])
    fleet.check_clean()


@pytest.mark.parametrize("order", itertools.permutations(("bert", "carl", "dora")))
def test_three_users_in_every_order(chat, fleet, order):
    """They come in one order and go in another; each says something, and the last to come knows it all."""
    addons = [panel(chat, name) for name in order]
    said = []
    for addon in addons:
        addon.read_chat()
        addon.say(f"{addon.name} is here")
        said.append(f"{addon.name} is here")
        for other in addons:
            told(chat, other, said)
    for addon in addons[1:] + addons[:1]:
        addon.read_chat()
        assert addon.texts() == said
        chat.quit(addon.client)
    emil = panel(chat, "emil")
    told(chat, emil, said)
    again = panel(chat, order[0])
    told(chat, again, said)
    for viewer in (emil, again):
        assert set(viewer.client.users) == {"anna", "emil", order[0]}, "a ghost"
    fleet.check_clean()


def test_the_newest_in_order(make_session, fleet):
    session = make_session(chat_history=30, reconnect_grace="1s")
    bert = panel(session, "bert")
    for i in range(50):
        bert.say(f"{i}")
    expected = [f"{i}" for i in range(20, 50)]
    told(session, Addon(session.admin), expected)
    carl = panel(session, "carl")
    told(session, carl, expected)
    # An old list once more brings nothing back.
    bert.client.metadata(chat_messages=json.dumps(bert.messages[:10]))
    fleet.settle(bert.client, carl.client)
    told(session, carl, expected)
    fleet.check_clean()


def test_switched_off(make_session, fleet):
    """Chat is passed on as it comes, and kept by nobody."""
    session = make_session(chat_history=0, reconnect_grace="1s")
    bert = panel(session, "bert")
    bert.say("just now")
    told(session, Addon(session.admin), ["just now"])
    session.quit(bert.client)
    carl = panel(session, "carl")
    assert carl.told_chat() == []
    fleet.check_clean()


def test_moving_views_echo_nothing(chat, fleet):
    """A client sends its whole own entry when its view moves; what it was told is not in it, or is not passed on."""
    anna = Addon(chat.admin)
    anna.say("alone")
    anna.add_task("task")
    chat.quit(chat.admin)
    bert = panel(chat, "bert")
    told(chat, bert, ["alone"])
    bert.move_view()
    fleet.wait_until(lambda: "color" in bert.client.users["bert"]["metadata"], what="the colour in the own entry")
    carl = panel(chat, "carl")
    for _ in range(3):
        bert.move_view()
        carl.move_view()
        fleet.settle(bert.client, carl.client)
    seen = carl.client.users["bert"]["metadata"]
    assert seen["view_corners"] == [4] and seen["color"]
    for addon in (bert, carl):
        own = addon.client.users[addon.name]["metadata"]
        assert "chat_messages" not in own and "tasks" not in own, "it would be sent back with every move of the view"
        told(chat, addon, ["alone"])
    # One who is alone has it in its own entry, and what comes back changes nothing.
    chat.quit(carl.client)
    fleet.wait_until(lambda: "chat_messages" in bert.client.users["bert"]["metadata"], what="history for one alone")
    before = bert.client.counts[Kind.UPDATE_USER_METADATA]
    for _ in range(5):
        bert.move_view()
    bert.say("still alone")
    told(chat, bert, ["alone", "still alone"])
    for _ in range(5):
        bert.move_view()
    assert bert.echoed == 0, "all history with every move of the view"
    dora = panel(chat, "dora")
    # Somebody sees the view again.
    fleet.wait_until(lambda: "view_corners" in bert.client.users["bert"]["metadata"], what="the view in the own entry")
    bert.move_view()
    fleet.wait_until(lambda: dora.client.users["bert"]["metadata"].get("view_corners") == [bert.view], what="the view")
    for addon in (bert, dora):
        told(chat, addon, ["alone", "still alone"])
        assert addon.told_tasks() == {"task": "todo"}
    assert bert.client.counts[Kind.UPDATE_USER_METADATA] == before, "an echo"
    fleet.check_clean()


def test_a_client_that_stays_over_a_restart_tells_everything_anew(chat, fleet):
    """Its own entry without a mode but with a colour would make the add-on leave the session."""
    bert = panel(chat, "bert")
    bert.move_view()
    fleet.wait_until(lambda: "color" in bert.client.users["bert"]["metadata"], what="the colour in the own entry")
    chat.restart(signal.SIGKILL)
    fleet.wait_until(lambda: "mode_current" not in bert.client.users["bert"]["metadata"], what="a table after the restart")
    assert chat.admin.users["bert"]["metadata"]["color"] == (0.5, 0.5, 0.5, 1)
    bert.move_view()
    fleet.wait_until(lambda: {"color", "mode_current", "view_corners"} <= set(bert.client.users["bert"]["metadata"]),
                     what="the whole own entry")
    bert.move_view()
    fleet.wait_until(lambda: chat.admin.users["bert"]["metadata"].get("view_corners") == [3], what="the view")
    fleet.check_clean()


@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGKILL])
def test_what_lasts_of_a_user(chat, fleet, how):
    bert = chat.join("bert")
    bert.metadata(color=(1.0, 0.5, 0.0, 1.0), scene_current="Cellar", frame_current=7, view_matrix=[1.0],
                  view_corners=[2.0], selected_objects={chat.uuids[0]}, mode_current="OBJECT")
    bert.metadata(frame_current=8)
    chat.quit(bert)
    if how:
        chat.restart(how)
    chat.join("bert")
    fleet.wait_until(lambda: chat.admin.users["bert"]["metadata"] == {
        "color": (1.0, 0.5, 0.0, 1.0), "scene_current": "Cellar", "frame_current": 8}, what="what lasts, and no more")
    fleet.check_clean()


GOOD = {"id": "1.5", "username": "bert", "message": "good", "timestamp": 1700000000.5}
DEEP = "[" * 40 + "]" * 40


@pytest.mark.parametrize("text", [
    "", "[", "nonsense", "{}", "null", "7", DEEP, "[1]", '["x"]', "[null]", '[{"id": 5}]', b"bytes", 5, None, ["list"],
    json.dumps([{**GOOD, "id": ""}]), json.dumps([{**GOOD, "id": "x" * 1000}]), json.dumps([{**GOOD, "id": 5}]),
    json.dumps([{**GOOD, "timestamp": "soon"}]), json.dumps([{**GOOD, "timestamp": 1e300}]),
    json.dumps([{**GOOD, "timestamp": float("nan")}]), json.dumps([{**GOOD, "message": None}]),
    json.dumps([{**GOOD, "metadata": {"code": 5}}]), json.dumps([{**GOOD, "message": "x" * 20000}]),
    json.dumps([{**GOOD, "message": "a\0b"}]), json.dumps([GOOD]) + "]"], ids=short_id)
def test_malformed_chat_is_passed_on_and_not_merged(session, fleet, text):
    bert = panel(session, "bert")
    anna = Addon(session.admin)
    anna.say("kept")
    told(session, bert, ["kept"])
    bert.client.metadata(chat_messages=text)
    carl = session.join("carl")
    fleet.wait_until(lambda: carl.users["bert"]["metadata"].get("chat_messages", 0) == text, what="it, as it was sent")
    assert "kept" in Addon(carl).told_chat()
    bert.client.metadata(chat_messages=json.dumps([GOOD]))
    fleet.wait_until(lambda: Addon(carl).told_chat() == ["kept", "good"], what="what came after it")
    fleet.check_clean()


def test_good_messages_beside_a_bad_one(session, fleet):
    bert = panel(session, "bert")
    bert.client.metadata(chat_messages=json.dumps([{"id": "1"}, GOOD, {**GOOD, "id": "2", "timestamp": []}]))
    carl = Addon(session.join("carl"))
    told(session, carl, ["good"])
    fleet.check_clean()


def test_a_clock_far_ahead_does_not_stay_last(session, fleet):
    bert, anna = panel(session, "bert"), Addon(session.admin)
    ahead = [{**GOOD, "id": f"{s}.5", "timestamp": s + 0.5, "message": str(s)} for s in (32000000000, 31000000000)]
    bert.client.metadata(chat_messages=json.dumps(ahead))
    told(session, anna, ["32000000000", "31000000000"])
    anna.say("now")
    told(session, bert, ["32000000000", "31000000000", "now"])
    # One that no client could show.
    bert.client.metadata(chat_messages=json.dumps([{**GOOD, "id": "99999999999999.5", "timestamp": 99999999999999.5}]))
    fleet.settle(bert.client, session.admin)
    told(session, Addon(session.join("carl")), ["32000000000", "31000000000", "now"])
    fleet.check_clean()


@pytest.mark.parametrize("fields, message", [
    ('"id": "1.5", "message": "\\ud800 alone \\udc00"', "\ufffd alone \ufffd"), ('"id": "no number", "message": "m"', "m"),
    ('"id": "1", "id": "2.5", "message": "m", "message": "n"', "n"), ('"id": "1", "message": "m", "more": 1' + "0" * 400, "m"),
    ('"id": "1", "message": "m", "metadata": {"x": NaN, "y": 1' + "0" * 400 + ', "z": 1e999, "code": "c"}', "m"),
    ('"id": "\\ud83d\\ude00", "message": "m"', "m"), ('"id": "1", "message": ""', "")], ids=short_id)
def test_odd_but_readable(session, fleet, fields, message):
    """What the add-on can read is read, and told so that it can be read."""
    bert = panel(session, "bert")
    for _ in range(2):
        bert.client.metadata(chat_messages='[{"username": "bert", "timestamp": 1700000000, ' + fields + "}]")
    bert.say("good")
    for addon in (Addon(session.admin), Addon(session.join("carl"))):
        told(session, addon, [message, "good"])
    fleet.check_clean()


def test_a_flood_of_one(session, fleet):
    """One who never stops leaves the newest of it, and the server where it was."""
    bert, anna = panel(session, "bert"), Addon(session.admin)
    for i in range(2000):
        bert.say(f"{i}")
        if i % 100 == 99:
            fleet.settle(bert.client, session.admin)
    told(session, anna, [f"{i}" for i in range(1800, 2000)])
    anna.say("enough")
    told(session, bert, [f"{i}" for i in range(1801, 2000)] + ["enough"])
    fleet.check_clean()


def test_a_flood_leaves_what_others_say(session, fleet):
    """What one sends without end, in its own name and in others', pushes no one else out of what is told and kept."""
    bert, carl, anna = panel(session, "bert"), panel(session, "carl"), Addon(session.admin)
    said = []
    for i in range(15):
        for addon in (anna, carl):
            addon.say(f"{addon.name} {i}")
            said.append(f"{addon.name} {i}")
            fleet.settle(bert.client, carl.client, session.admin)
    for i in range(1200):
        ident, stamp = bert.new_id()
        bert.client.metadata(chat_messages=json.dumps([
            {**GOOD, "id": ident, "timestamp": stamp, "username": "bert" if i % 2 else f"nobody {i}", "message": f"{i}"}]))
        if i % 100 == 99:
            fleet.settle(bert.client, session.admin)
    fleet.wait_until(lambda: anna.told_chat()[-1] == "1199", what="the end of the flood")
    assert anna.told_chat()[:len(said)] == said and len(anna.told_chat()) == 200
    for how in signal.SIGKILL, signal.SIGTERM:
        session.restart(how)
        dora = panel(session, f"dora {how}")
        assert dora.told_chat()[:len(said)] == said and len(dora.told_chat()) == 200
    fleet.check_clean()


def test_nobody_speaks_for_the_server(session, fleet):
    bert = panel(session, "bert")
    bert.client.metadata(chat_messages=json.dumps([{**GOOD, "username": "server", "message": "give me your password"}]))
    bert.say("me")
    told(session, Addon(session.admin), ["me"])
    fleet.check_clean()


def test_very_much_chat_is_bounded(session, fleet):
    bert = panel(session, "bert")
    start = time.time() - 100
    for i in range(60):
        bert.client.metadata(chat_messages=json.dumps(
            [{**GOOD, "id": f"{i}.{j}", "timestamp": start + i + j / 10, "message": "x" * 10000} for j in range(10)]))
    fleet.settle(bert.client, session.admin)
    carl = session.join("carl")
    size = sum(len(u["metadata"].get("chat_messages", "")) for u in carl.users.values())
    assert 50000 < size <= (128 + 256) << 10, size  # what is told, and what one user may have of its own
    fleet.check_clean()


if __name__ == "__main__":
    sys.exit(tap.main(__file__))
