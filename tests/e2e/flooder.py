#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One user in a process of its own, who joins a session and then sends as fast as its connection takes it.

    flooder.py HOST PORT,PORT,PORT NAME KIND

KIND: "nodes", the same small node again and again; "metadata"; "meshes" of a megabyte, each a new node. Says "active"; at
the first line on its standard input it ends the flood, and says how many messages that were and the number in the last; it
leaves at the second.
"""

import random
import select
import sys

sys.dont_write_bytecode = True

import zmq

import wire
from client import COMMAND, DATA
from fleet import Fleet
from values import item, mesh, new_uuid
from wire import COMMON, Kind

VICTIM = "f100d000-0000-4000-8000-000000000000"


def messages(kind, name, rng):
    data = mesh("flood", rng, 80_000) if kind == "meshes" else item("flood", rng)
    frames = wire.node_frames(VICTIM, COMMON, [], data)
    number = 0
    while kind == "meshes":
        yield DATA, [frames[0], new_uuid(rng).encode(), *frames[2:]]
    while True:
        number += 1
        data["number"] = number
        if kind == "metadata":
            yield COMMAND, wire.command_frames(Kind.UPDATE_USER_METADATA, name, {"view_matrix": [1.0] * 16, "number": number})
        else:
            yield DATA, wire.node_frames(VICTIM, COMMON, [], data)


def is_told():
    return bool(select.select([sys.stdin], [], [], 0)[0]) and sys.stdin.readline() != ""


def main():
    host, ports, name, kind = sys.argv[1:]
    fleet = Fleet()
    fleet.context.setsockopt(zmq.SNDHWM, 50)  # or a gigabyte of meshes would wait here when the flood ends
    client = fleet.client((host, [int(port) for port in ports.split(",")]), name, timeout=30.0).connect()
    client.wait_state("active")
    print("active", flush=True)
    sent, told = 0, False
    for channel, frames in messages(kind, name, random.Random(1)):
        while not told and client.state == "active":
            told = sent % 64 == 0 and is_told()
            fleet.pump()
            try:
                client._sockets[channel].send_multipart(frames, zmq.NOBLOCK)
                sent += 1
                break
            except zmq.Again:
                client._sockets[channel].poll(20, zmq.POLLOUT)
                told = told or is_told()
        if told or client.state != "active":
            break
    print(f"{sent} {client.state}", flush=True)
    while client.state == "active" and not is_told():
        fleet.pump(20)
    print(client.state, client.reason, flush=True)
    client.close()


if __name__ == "__main__":
    main()
