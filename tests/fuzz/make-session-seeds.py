#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the corpora of fuzz-message and fuzz-session: one message of each kind, and courses that lead through a
session. tests/fuzz/make-session-seeds.py FOLDER"""

import os
import pickle
import struct
import sys

COMMAND, DATA, TTL = 0, 1, 2
(MESSAGE, TIME, LOST, FOUND, REFUSE, DRAIN, RESTART, NODE) = range(8)


def dump(value):
    return pickle.dumps(value, protocol=4)


def command(number, owner, data):
    return COMMAND, [dump(number), owner.encode(), dump(data)]


def auth(name, admin=None):
    return command(9, name, {"AUTH_TYPE": "ADMIN" if admin else "CLIENT", "AUTH_ID": name, "S_PWD": "", "A_PWD": admin,
                             "VERSION": "0.9.10"})


def node_frames(uuid, data, dependencies=()):
    return [dump(2), uuid.encode(), b"COMMON", dump(list(dependencies)), dump(data)]


def node(uuid, data, dependencies=()):
    return DATA, node_frames(uuid, data, dependencies)


def commit(uuid, delta, dependencies=()):
    return DATA, [dump(1), uuid.encode(), dump(list(dependencies)), dump(delta)]


def beat(text):
    return TTL, [text]


MESSAGES = {
    "auth": auth("b"),
    "admin": auth("b", "a"),
    "info": command(14, "guest", "RQ_INFO"),
    "request": command(7, "b", {"STATE": "REQUEST_INIT"}),
    "get": command(7, "b", {"STATE": "GET", "ID": "x"}),
    "done": command(7, "b", {"STATE": "DONE"}),
    "init": command(8, "server", {"STATE": "INIT", "SIZE": 2, "NODES": ["x", "y"]}),
    "set": command(8, "server", {"STATE": "SET", "DATA": node_frames("x", {"l": [1], "v": 2})}),
    "set-y": command(8, "server", {"STATE": "SET", "DATA": node_frames("y", {"l": []}, ["x"])}),
    "end": command(8, "server", {"STATE": "END"}),
    "right": command(5, "b", {"uuid": ["x", "y"], "owner": "b"}),
    "release": command(5, "b", {"uuid": ["x"], "owner": "COMMON"}),
    "delete": command(4, "client", "x"),
    "metadata": command(13, "b", {"color": (0.1, 0.2, 0.3, 1), "selected_objects": {"x"}}),
    "kick": command(11, "b", {"user": "c"}),
    "node": node("z", {"v": 1}, ["x"]),
    "commit": commit("x", {"values_changed": {"root['v']": {"new_value": 3}}}),
    "append": commit("x", {"iterable_item_added": {"root['l'][1]": 5}}),
    "refused": commit("x", {"iterable_item_added": {"root['v'][0]": 5}}),
    "ttl": beat(b"INIT"),
    "pong": beat(b"PONG"),
}


def framed(frames):
    return b"".join(struct.pack("<H", len(f)) + f for f in frames)


def step(peer, name, owner=None):
    channel, frames = MESSAGES[name] if isinstance(name, str) else name
    if owner:
        frames = [frames[0], owner.encode()] + frames[2:]
    return bytes([MESSAGE, peer | channel << 4, len(frames)]) + framed(frames)


def wait(tenths):
    return bytes([TIME, tenths])


START = (step(1, "admin") + step(1, "ttl") + step(1, "init") + step(1, "set") + step(1, "set-y") + step(1, "end") + wait(15))
JOIN = (step(2, auth("c")) + step(2, "request", "c") + step(2, command(7, "c", {"STATE": "GET", "ID": "y"})) +
        step(2, "get", "c") + step(2, "done", "c") + wait(2))
COURSES = {
    "edit": START + JOIN + step(1, "append") + step(2, "commit") + step(1, "node") + step(2, "refused") + wait(40),
    "delete": START + JOIN + step(1, "append") + step(1, "delete") + step(2, "commit") + wait(30),
    "rights": START + JOIN + step(1, "right") + step(2, "commit") + step(1, "release") + step(1, "metadata") + wait(30),
    "kick": START + JOIN + step(1, "kick") + wait(5) + step(2, "pong"),
    "late-joiner": START + step(2, auth("c")) + step(2, "request", "c") + step(1, "append") + step(2, "get", "c") +
                   step(1, "commit") + step(1, "node") + step(2, "done", "c") + step(1, "append") + wait(30),
    "slow": START + JOIN + bytes([REFUSE, 2]) + step(1, "append") + step(1, "commit") + wait(20) + step(1, "delete") +
            bytes([DRAIN, 2]) + wait(30),
    "restart": START + JOIN + step(1, "append") + bytes([RESTART]) + wait(1) + step(1, "metadata") +
               step(2, "metadata", "c") + step(1, "append") + wait(30),
    "restart-midway": START + step(2, auth("c")) + step(2, "request", "c") + bytes([RESTART, FOUND, 2, FOUND, 1]) + wait(80) +
                      step(2, "get", "c"),
    "broken-init": step(1, "admin") + step(1, "init") + step(1, "set") + bytes([LOST, 1]) + wait(40) + step(2, "admin"),
    "blip": START + JOIN + bytes([LOST, 2, LOST, 2 | DATA << 4]) + step(1, "append") + bytes([FOUND, 2, FOUND, 2 | DATA << 4]) +
            step(1, "append") + wait(30),
    "nodes": START + JOIN + bytes([NODE, 1, 3, 0, NODE, 2, 3, 1, NODE, 1, 4, 1]) + wait(20),
    "strangers": step(3, "node") + step(3, "pong") + step(3, "metadata") + step(3, "ttl") + wait(120),
}


def main():
    for name, (channel, frames) in MESSAGES.items():
        if channel != TTL:
            write("message", name, bytes([channel]) + framed(frames))
    for name in ("auth", "info", "metadata"):
        write("message", "guest-" + name, bytes([128]) + framed(MESSAGES[name][1]))
    for name, course in COURSES.items():
        write("session", name, course)


def write(target, name, data):
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


if __name__ == "__main__":
    main()
