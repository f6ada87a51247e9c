# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on a server, each a process of its own so that it costs the test's clients no time. Bounded: they end when told,
or after half a minute."""

import itertools
import multiprocessing
import random
import resource
import socket
import struct
import time

import zmq

import hostile
import wire
from wire import COMMON, Kind

LIMIT = 30.0


def _connect(port, source=None):
    s = socket.socket()
    try:
        s.settimeout(2.0)
        if source:
            s.bind((source, 0))
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        return s
    except OSError:
        s.close()
        return None


def _send(s, data):
    try:
        s.send(data)
        return True
    except BlockingIOError:
        return True
    except OSError:
        return False


def _auth(name, password=None):
    return wire.command_frames(Kind.AUTH, name, {"AUTH_TYPE": "ADMIN" if password else "CLIENT", "AUTH_ID": name, "S_PWD": "",
                                                 "A_PWD": password, "VERSION": wire.VERSION})


def _dealer(context, port, routing_id=None, source=None):
    s = context.socket(zmq.DEALER)
    s.setsockopt(zmq.LINGER, 0)
    s.setsockopt(zmq.ROUTING_ID, routing_id or b"\1" + random.randbytes(15))
    s.connect(f"tcp://{source + ':0;' if source else ''}127.0.0.1:{port}")
    return s


def login_storm(ports, running):
    """Fresh connections that log in under names of their own and are gone again."""
    context = zmq.Context()
    crowd = []
    for number in itertools.count():
        if not running():
            break
        s = _dealer(context, ports[0])
        s.send_multipart(_auth(f"stormer {number}"))
        crowd.append(s)
        if len(crowd) > 60:
            crowd.pop(0).close()
        time.sleep(0.002)
    context.destroy(linger=0)


def wrong_passwords(ports, running):
    context = zmq.Context()
    s = _dealer(context, ports[0])
    for number in itertools.count():
        if not running():
            break
        try:
            s.send_multipart(_auth("guess", f"password {number}"), zmq.NOBLOCK)
        except zmq.Again:
            s.close()
            s = _dealer(context, ports[0])
        time.sleep(0.0005)
    context.destroy(linger=0)


def idle_connections(ports, running):
    """Ten thousand, from forty addresses, that say nothing; those that are refused come back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(10_000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 100), hard))
    held = []
    for number in itertools.count():
        if not running():
            break
        s = _connect(ports[number % 3], f"127.0.1.{1 + number % 40}")
        if s:
            held.append(s)
        if len(held) >= wanted:
            held.pop(0).close()
    for s in held:
        s.close()


def slow_handshakes(ports, running):
    """A byte of the greeting now and then, on two hundred connections at a time."""
    text = hostile.GREETING + hostile.READY
    slow = [None] * 200
    while running():
        for i, there in enumerate(slow):
            if there is None:
                s = _connect(ports[i % 3], f"127.0.2.{1 + i % 20}")
                slow[i] = [s, 0] if s else None
            elif not _send(there[0], text[there[1] % len(text):][:1]):
                there[0].close()
                slow[i] = None
            else:
                there[1] += 1
        time.sleep(0.01)


def half_open(ports, running):
    """Handshakes that are cut with a reset, or of which one direction is closed, at every point."""
    for number in itertools.count():
        if not running():
            break
        s = _connect(ports[number % 3])
        if not s:
            continue
        text = hostile.GREETING + hostile.READY
        _send(s, text[:number % (len(text) + 1)])
        if number % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            try:
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        s.close()
        time.sleep(0.0005)


def stolen_routing_ids(ports, running):
    """Two who take the same routing id from each other, and guesses at those of others, on all channels."""
    context = zmq.Context()
    shared = b"\1" + random.randbytes(15)
    for number in itertools.count():
        if not running():
            break
        pair = [_dealer(context, ports[number % 3], shared if number % 2 else None, "127.0.3.1")
                for _ in range(2)]
        for s in pair:
            s.send_multipart([b"PONG"] if number % 3 == 2 else wire.command_frames(Kind.DELETE, "client", "x"))
        time.sleep(0.005)
        for s in pair:
            s.close()
    context.destroy(linger=0)


def oversized_frames(ports, running):
    """Frames that announce 2^40 bytes, frames of 64 MiB by somebody who is not logged in, and messages without end."""
    body = bytes(1 << 16)
    for number in itertools.count():
        if not running():
            break
        s = _connect(ports[number % 3], "127.0.3.1")
        if not s:
            continue
        s.settimeout(0.5)
        size = [1 << 40, 64 << 20, 1 << 62][number % 3]
        try:
            s.sendall(hostile.GREETING + hostile.READY + bytes([2 + number % 2]) + struct.pack(">Q", size))
            for _ in range(200):
                s.sendall(body)
        except OSError:
            pass
        s.close()


def unfinished_messages(ports, running):
    """Messages that only go on, on sixty connections at a time: of empty frames, of small ones a packet each, of large ones."""
    kinds = [bytes([1, 0]) * 4096, bytes([1, 40]) + bytes(40), bytes([3]) + struct.pack(">Q", 1 << 20) + bytes(1 << 20)]
    held = [None] * 60
    for number in itertools.count():
        if not running():
            break
        i = number % len(held)
        if held[i] is None:
            held[i] = _connect(ports[i % 3], f"127.0.4.{1 + number % 250}")
            if held[i]:
                held[i].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _send(held[i], hostile.GREETING + hostile.READY)
        elif not _send(held[i], kinds[i // 3 % len(kinds)]):
            held[i].close()
            held[i] = None


def expensive_pickles(ports, running):
    """Somebody who is let in sends what is nested, doubled, repeated and large, and a thousand names for nodes."""
    context = zmq.Context()
    routing_id = b"\1" + random.randbytes(15)
    command, data = _dealer(context, ports[0], routing_id), _dealer(context, ports[1], routing_id)
    command.send_multipart(_auth("costly"))
    bad = list(hostile.exploding_pickles().values())
    memo = b"\x80\x04]" + b"N\x94" * 500_000 + b"0" * 499_999 + b"a."
    for number in itertools.count():
        if not running():
            break
        pickle = memo if number % 4 == 3 else bad[number % len(bad)]
        node = [wire.dump(2), f"costly {number % 1000}".encode(), COMMON.encode(), wire.dump([]), pickle]
        try:
            data.send_multipart(node, zmq.NOBLOCK)
            command.send_multipart([wire.dump(int(Kind.UPDATE_USER_METADATA)), b"costly", pickle], zmq.NOBLOCK)
        except zmq.Again:
            time.sleep(0.01)
        time.sleep(0.002)
    context.destroy(linger=0)


ALL = (login_storm, wrong_passwords, idle_connections, slow_handshakes, half_open, stolen_routing_ids, oversized_frames,
       unfinished_messages, expensive_pickles)


def _run(name, ports, stop):
    end = time.monotonic() + LIMIT
    {a.__name__: a for a in ALL}[name](ports, lambda: not stop.is_set() and time.monotonic() < end)


class Attack:
    """One that is under way from `with` to its end."""

    def __init__(self, attack, ports):
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._process = context.Process(target=_run, args=(attack.__name__, ports, self._stop), daemon=True)

    def __enter__(self):
        self._process.start()
        return self

    @property
    def alive(self):
        return self._process.is_alive()

    def __exit__(self, *_):
        self._stop.set()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
