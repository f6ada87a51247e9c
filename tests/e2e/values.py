# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing node data exactly, and making node data that looks like Blender's."""

import hashlib
import random
import struct
import uuid as uuid_module

# The dump is stricter than ==: 1, 1.0 and True differ, so do -0.0 and 0.0, and NaN equals itself.


# A large buffer is told by its digest, which is as good for comparing and a thousand times faster.
LARGE = 65536


def _text(prefix, data):
    if len(data) > LARGE:
        return f"{prefix}#{len(data)}:{hashlib.sha256(data).hexdigest()}"
    out = [prefix, '"']
    for byte in data:
        if 0x20 <= byte <= 0x7E and byte not in (0x22, 0x5C):
            out.append(chr(byte))
        else:
            out.append(f"\\x{byte:02x}")
    out.append('"')
    return "".join(out)


def canonical(value):
    """One line of ASCII for a value; two values have the same one only if they are the same in type and content. What a
    value holds many times over is told once, and its digest stands for it when it is large: sixty lists, each twice in
    the next, are no more than sixty lists."""
    return _canonical(value, {})


def _canonical(value, memo):
    if value is None:
        return "N"
    if value is True:
        return "T"
    if value is False:
        return "F"
    kind = type(value)
    if kind is int:
        return f"i-{-value:x}" if value < 0 else f"i{value:x}"
    if kind is float:
        return "f" + struct.pack(">d", value).hex()
    if kind is str:
        return _text("s", value.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return _text("b", value)
    if kind is bytearray:
        return _text("B", value)
    if id(value) not in memo:
        memo[id(value)] = _shortened(_container(value, kind, memo))
    return memo[id(value)]


def _container(value, kind, memo):
    if kind is dict:
        pairs = sorted((_canonical(k, memo), _canonical(v, memo)) for k, v in value.items())
        return "{" + "".join(f"{k}:{v}," for k, v in pairs) + "}"
    opening, closing = {list: "[]", tuple: "()", set: "<>", frozenset: ("{|", "|}")}[kind]
    members = [_canonical(x, memo) + "," for x in value]
    if kind in (set, frozenset):
        members.sort()
    return opening + "".join(members) + closing


def _shortened(line):
    return line if len(line) <= LARGE else f"#{len(line)}:{hashlib.sha256(line.encode()).hexdigest()}"


def new_uuid(rng=random):
    return str(uuid_module.UUID(int=rng.getrandbits(128), version=4))


def shared_places():
    """Dicts in which every user has keys of its own, so that edits of several users at once commute. Two who make the
    same dict at the same time overwrite each other with any server, so they are there from the start."""
    return {"props": {}, "edits": {}, "places": {}}


def mesh(name, rng=random, vertices=16):
    """Node data of the shape that the add-on makes for a mesh: large buffers in bytes, a few small things beside."""
    return {
        "type_id": "Mesh",
        "name": name,
        "vertex_count": vertices,
        "vertices": {"co": rng.randbytes(12 * vertices), "select": bytes(vertices)},
        "use_auto_smooth": False,
        "auto_smooth_angle": rng.random(),
        "materials": [(name + "-material", None), None],
        "vertex_groups": {0: "left", 1: "right"},
        **shared_places(),
    }


def item(name, rng=random):
    """Node data of an object: transforms, modifiers, custom properties, and a list that edits grow."""
    return {
        "type_id": "Object",
        "name": name,
        "location": [rng.random(), rng.random(), rng.random()],
        "rotation_euler": (0.0, 0.5, rng.random()),
        "color": [1.0, 1.0, 1.0, 1.0],
        "parent_uid": None,
        "modifiers": [{"type": "SUBSURF", "levels": 1}, {"type": "MIRROR", "axis": [True, False, False]}],
        "history": [],
        **shared_places(),
    }


def scene(count, rng=random, size=16):
    """A small dependency-ordered scene: list of (uuid, dependencies, data), meshes before the objects that use them."""
    nodes = []
    for i in range(count // 2):
        mesh_id = new_uuid(rng)
        nodes.append((mesh_id, [], mesh(f"mesh {i}", rng, size)))
        nodes.append((new_uuid(rng), [mesh_id], item(f"object {i}", rng)))
    if count % 2:
        nodes.append((new_uuid(rng), [n[0] for n in nodes], {"type_id": "Collection", "name": "all", **shared_places()}))
    return nodes


def short_id(value, most=40):
    """What names a case in the log, where its value itself would fill a page."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[:most]}...{len(text)}"
