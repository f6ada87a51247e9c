# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of a Multi-User session, as they look from the client's side of the wire."""

import enum
import io
import pickle
import struct
from collections import namedtuple

VERSION = "0.9.10"
COMMON = "COMMON"


class Kind(enum.IntEnum):
    COMMIT = 1
    NODE = 2
    COMMAND = 3
    DELETE = 4
    RIGHT = 5
    CONFIG = 6
    SNAPSHOT = 7
    SERVER_SNAPSHOT = 8
    AUTH = 9
    DISCONNECT = 10
    KICK = 11
    UPDATE_CLIENTS_STATE = 12
    UPDATE_USER_METADATA = 13
    REQUEST_SERVER_INFO = 14


class Status(enum.IntEnum):
    """What UpdateClientsState says of a user."""
    SYNCING = 1
    ACTIVE = 2
    LOBBY = 10


Command = namedtuple("Command", "kind owner data")
WholeNode = namedtuple("WholeNode", "kind uuid owner dependencies data")
Commit = namedtuple("Commit", "kind uuid dependencies delta")


class ForbiddenGlobal(Exception):
    """A pickle from the server names something to import: in a stock client it would have been called."""


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise ForbiddenGlobal(f"{module}.{name}")


def load(data):
    """Loads a pickle in which nothing may be imported."""
    return _InertUnpickler(io.BytesIO(data)).load()


def dump(value):
    return pickle.dumps(value, protocol=4)


def command_frames(kind, owner, data):
    return [dump(int(kind)), owner.encode(), dump(data)]


def node_frames(uuid, owner, dependencies, data):
    return [dump(int(Kind.NODE)), uuid.encode(), owner.encode(), dump(dependencies), dump(data)]


def commit_frames(uuid, dependencies, delta):
    return [dump(int(Kind.COMMIT)), uuid.encode(), dump(dependencies), delta]


def parse(frames):
    """Frames, without the routing id, to a Command, WholeNode or Commit; raises on anything else."""
    kind = Kind(load(frames[0]))
    if kind is Kind.COMMIT:
        return Commit(kind, frames[1].decode(), load(frames[2]), frames[3])
    if kind is Kind.NODE:
        return WholeNode(kind, frames[1].decode(), frames[2].decode(), load(frames[3]), load(frames[4]))
    return Command(kind, frames[1].decode(), load(frames[2]))


Record = namedtuple("Record", "channel from_server client microseconds frames")


def read_capture(path):
    """Yields the records of a capture file; its format is described in captures/README.md."""
    with open(path, "rb") as stream:
        content = stream.read()
    if content[:8] != b"MUCAP001":
        raise ValueError(f"{path} is not a capture")
    offset = 8
    while offset < len(content):
        channel, direction, count, client, microseconds = struct.unpack_from("<BBHIQ", content, offset)
        offset += 16
        frames = []
        for _ in range(count):
            (size,) = struct.unpack_from("<I", content, offset)
            frames.append(content[offset + 4:offset + 4 + size])
            offset += 4 + size
        yield Record(channel, direction == 1, client, microseconds, frames)


Triple = namedtuple("Triple", "flags label before delta after canon")
TRIPLE_ABORTED = 1
TRIPLE_SKIPPED = 2
TRIPLE_GENUINE = 4


def read_corpus(path):
    """Yields the before/delta/after triples of a corpus file."""
    with open(path, "rb") as stream:
        content = stream.read()
    if content[:8] != b"MUDC0001":
        raise ValueError(f"{path} is not a corpus of deltas")
    (count,) = struct.unpack_from("<I", content, 8)
    offset = 12
    for _ in range(count):
        (flags,) = struct.unpack_from("<I", content, offset)
        offset += 12
        parts = []
        for _ in range(5):
            (size,) = struct.unpack_from("<I", content, offset)
            parts.append(content[offset + 4:offset + 4 + size])
            offset += 4 + size
        yield Triple(flags, parts[0].decode(), *parts[1:])
