# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that no client sends: pickles that run code, pickles that explode, frames of every wrong shape."""

import pickle
import struct

import wire
from wire import COMMON, Kind


def _sized(text):
    return struct.pack("<I", len(text)) + text


def code_pickles(marker):
    """Pickles that create the file `marker` when a Python loads them, by every opcode that can."""
    shell = f"touch {marker}".encode()
    text = _sized(shell)
    argument = b"(X" + text + b"t"
    return {
        "REDUCE": b"\x80\x04cos\nsystem\n" + argument + b"R.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + argument + b"R.",
        "memoized names": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93" + argument + b"R0]." ,
        "INST": b"(X" + text + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nX" + text + b"o.",
        "NEWOBJ": b"\x80\x04csubprocess\nPopen\n" + argument + b"\x81.",
        "builtins.eval": b"\x80\x04cbuiltins\neval\n(X" + _sized(b"__import__('os').system('" + shell + b"')") + b"tR.",
        "subprocess": b"\x80\x04csubprocess\ncall\n((X" + _sized(b"touch") + b"X" + _sized(str(marker).encode()) +
                      b"ltR.",
        "behind plain data": b"\x80\x04}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b" + b"cos\nsystem\n" + argument + b"Ru.",
        "popped": b"\x80\x04cos\nsystem\n" + argument + b"R0}.",
        "BUILD": b"\x80\x04cbuiltins\nobject\n)\x81}b.",
        "EXT1": b"\x80\x02\x82\x01.",
        "PERSID": b"Panything\n.",
        "BINPERSID": b"\x80\x04X\x01\x00\x00\x00xQ.",
    }


def _doubled(times):
    """A list that holds the one before it twice, and so on: 2^times lists to somebody who looks at each place."""
    inner = b"".join(b"](h%ch%ce\x940" % (i, i) for i in range(times - 1))
    return b"]\x940" + inner + b"](h%ch%ce" % (times - 1, times - 1)


def exploding_pickles():
    """Pickles that are small and cost memory, time or stack."""
    return {
        "nested lists": b"\x80\x04" + b"]" * 200000 + b"a" * 199999 + b".",
        "nested tuples": b"\x80\x04N" + b"\x85" * 200000 + b".",
        "doubling": b"\x80\x04" + _doubled(60) + b".",
        "doubling in a dict": b"\x80\x04}\x8c\x05lists" + _doubled(60) + b"s.",
        "memo number": b"\x80\x04Nr\xff\xff\xff\x7f.",
        "cycle": b"\x80\x04]\x94h\x00a.",
        "endless marks": b"\x80\x04" + b"(" * 500000 + b".",
        "text of 2^62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
        "bytes of 2^63 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 63) + b"x.",
        "decimal of a million digits": b"I" + b"9" * 1000000 + b"\n.",
        "many frames": b"\x80\x04" + b"\x95\x00\x00\x00\x00\x00\x00\x00\x00" * 100000 + b"N.",
    }


def broken_pickles():
    whole = pickle.dumps({"STATE": "GET", "ID": "x", "uuid": ["a", "b"], "owner": "x"}, protocol=4)
    out = {f"cut at {i}": whole[:i] for i in range(0, len(whole) - 1, 7)}
    out.update({
        "nothing": b"",
        "only STOP": b".",
        "no STOP": b"\x80\x04}",
        "unknown opcode": b"\x80\x04\xff.",
        "zero bytes": bytes(64),
        "protocol 6": b"\x80\x06N.",
        "wrong frame size": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}.",
        "stack underflow": b"\x80\x04aaa.",
        "unhashable key": b"\x80\x04}](K\x01u.",
        "list as key": b"\x80\x04}]K\x01s.",
        "missing memo": b"\x80\x04h\x07.",
        "not UTF-8": b"\x80\x04X\x02\x00\x00\x00\xff\xfe.",
        "text": b"hello",
        "JSON": b'{"STATE": "GET"}',
    })
    return out


WRONG_DATA = [None, True, 5, -1, 2.5, "text", b"bytes", [], (), {}, set(), [None], {"STATE": None}, {"STATE": 5},
              {"STATE": "NONSENSE"}, {"STATE": "GET"}, {"STATE": "GET", "ID": None}, {"STATE": "GET", "ID": ["x"]},
              {"STATE": "SET", "DATA": None}, {"STATE": "INIT", "SIZE": -1, "NODES": []},
              {"STATE": "INIT", "SIZE": "many", "NODES": 5}, {"STATE": "INIT", "SIZE": 1 << 80, "NODES": ["x"]},
              {"uuid": 5, "owner": []}, {"uuid": [5, None, b"x"], "owner": "x"}, {"uuid": "abc", "owner": COMMON},
              {"uuid": ["x"] * 100000, "owner": COMMON}, {"uuid": ["x"]}, {"owner": COMMON}, {"user": None},
              {"user": ["x"]}, {"user": "x" * 1000000}, {1: 2}, {None: None}, {"AUTH_TYPE": 5},
              {"AUTH_TYPE": "ADMIN", "AUTH_ID": None, "S_PWD": [], "A_PWD": {}, "VERSION": 0}]


def command_shapes():
    """Messages for the command channel, by name. Commands here never ask for what an ordinary user may have."""
    data = wire.dump({})
    out = {
        "an empty frame": [b""],
        "two empty frames": [b"", b""],
        "three empty frames": [b"", b"", b""],
        "a thousand empty frames": [b""] * 1000,
        "a type and nothing else": [wire.dump(7)],
        "a type and an owner": [wire.dump(7), b"x"],
        "one frame too many": [wire.dump(7), b"x", data, data],
        "many frames": [wire.dump(7), b"x", data] + [b"x"] * 5000,
        "a large frame": [bytes(5_000_000)],
        "a large owner": [wire.dump(7), b"x" * 5_000_000, data],
        "an owner that is no UTF-8": [wire.dump(5), b"\xff\xfe\x80", wire.dump({"uuid": [], "owner": "x"})],
        "a Node on the command channel": wire.node_frames("u", COMMON, [], {}),
        "a Commit on the command channel": wire.commit_frames("u", [], wire.dump({})),
        "PONG on the command channel": [b"PONG"],
    }
    for kind in ("7", None, [], 7.0, True, -1, 0, 3, 6, 15, 255, 1 << 70, b"\x07"):
        out[f"type {kind!r}"] = [wire.dump(kind), b"x", data]
    for kind in Kind:
        if kind >= Kind.COMMAND:
            for name, broken in broken_pickles().items():
                if "cut" not in name or kind is Kind.RIGHT:
                    out[f"{kind.name}, {name}"] = [wire.dump(int(kind)), b"x", broken]
            for i, value in enumerate(WRONG_DATA):
                if kind is Kind.REQUEST_SERVER_INFO:
                    continue
                out[f"{kind.name}, wrong data {i}"] = [wire.dump(int(kind)), b"x", wire.dump(value)]
    return out


def data_shapes(known):
    """Messages for the data channel; `known` is the uuid of a node that exists."""
    node, commit, empty = wire.dump(2), wire.dump(1), wire.dump([])
    plain, delta = wire.dump({"type_id": "Mesh"}), wire.dump({})
    known = known.encode()
    out = {
        "an empty frame": [b""],
        "a thousand empty frames": [b""] * 1000,
        "a type and nothing else": [node],
        "a Node of four frames": [node, known, b"COMMON", empty],
        "a Node of six frames": [node, known, b"COMMON", empty, plain, plain],
        "a Commit of three frames": [commit, known, empty],
        "a Commit of five frames": [commit, known, empty, delta, delta],
        "a Node without uuid": [node, b"", b"COMMON", empty, plain],
        "a uuid that is no UTF-8": [node, b"\xff\xfe", b"COMMON", empty, plain],
        "a uuid of a megabyte": [node, b"x" * 1_000_000, b"COMMON", empty, plain],
        "a uuid with NUL": [node, b"a\0b", b"COMMON", empty, plain],
        "an owner of a megabyte": [node, b"fresh 1", b"x" * 1_000_000, empty, plain],
        "an owner that is no UTF-8": [node, b"fresh 2", b"\xff", empty, plain],
        "an owner who is not there": [node, b"fresh 3", b"nobody", empty, plain],
        "a large frame": [bytes(5_000_000)],
        "a command on the data channel": wire.command_frames(Kind.DELETE, "client", known.decode()),
        "a Commit without delta": [commit, known, empty, b""],
        "a delta that is no dict": [commit, known, empty, wire.dump([1])],
    }
    for i, dependencies in enumerate([5, "text", {"a": 1}, [5], [None], [["x"]], b"bytes", True, {"x"}]):
        out[f"a Node with wrong dependencies {i}"] = [node, known, b"COMMON", wire.dump(dependencies), plain]
        out[f"a Commit with wrong dependencies {i}"] = [commit, known, wire.dump(dependencies), delta]
    for i, data in enumerate([None, 5, "text", [], b"x"]):
        out[f"a Node with wrong data {i}"] = [node, b"fresh 4", b"COMMON", empty, wire.dump(data)]
    for name, broken in broken_pickles().items():
        out[f"type, {name}"] = [broken, known, b"COMMON", empty, plain]
        out[f"dependencies, {name}"] = [node, known, b"COMMON", broken, plain]
        out[f"data, {name}"] = [node, known, b"COMMON", empty, broken]
        out[f"delta, {name}"] = [commit, known, empty, broken]
    return out


def ttl_shapes():
    return {
        "an empty frame": [b""],
        "two empty frames": [b"", b""],
        "a heartbeat of two frames": [b"PONG", b"PONG"],
        "an enveloped heartbeat": [b"", b"PONG"],
        "a thousand frames": [b"PONG"] * 1000,
        "an unknown word": [b"HELLO"],
        "a pickle": [wire.dump({"x": 1})],
        "a large frame": [bytes(5_000_000)],
        "PING": [b"PING"],
    }


TLS_CLIENT_HELLO = bytes.fromhex(
    "16030100a5010000a10303") + bytes(range(32)) + bytes.fromhex(
    "20") + bytes(range(32)) + bytes.fromhex("0008130213031301c02c0100") + bytes(80)
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:5555\r\nUser-Agent: scanner/1.0\r\nAccept: */*\r\nX: " + b"y" * 400 + b"\r\n\r\n"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\x00" + bytes(31)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"

# What a scanner, a browser or a broken peer writes on a connection to any of the ports.
RAW_PROBES = {
    "TLS ClientHello": TLS_CLIENT_HELLO,
    "HTTP request": HTTP_REQUEST,
    "zero bytes": bytes(4096),
    "0xff bytes": b"\xff" * 4096,
    "SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n" * 20,
    "ZMTP greeting with another mechanism": GREETING.replace(b"NULL", b"PLAN"),
    "ZMTP with garbage instead of READY": GREETING + b"\x04\x10" + bytes(16),
    "ZMTP with a READY that lies about lengths": GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\x7f\xff\xff\xffDEALER",
    "ZMTP as PUB socket": GREETING + READY.replace(b"DEALER", b"PUBLIC"),
    "ZMTP with a frame of 2^62 bytes": GREETING + READY + b"\x02" + struct.pack(">Q", 1 << 62),
    "ZMTP with reserved flags": GREETING + READY + b"\xf8\x01x",
}
