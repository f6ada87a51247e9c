# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical dump of src/pickle/dump.h, made by Python, and what it does not show: which containers are shared."""
import struct


def escape(data):
    return "".join(chr(c) if 0x20 <= c <= 0x7E and c not in b'"\\' else "\\x%02x" % c for c in data)


def dump(v, ordered=False):
    t = type(v)
    if v is None:
        return "N"
    if t is bool:
        return "T" if v else "F"
    if t is int:
        return "i%s%x" % ("-" if v < 0 else "", abs(v))
    if t is float:
        return "f" + struct.pack(">d", v).hex()
    if t is str:
        return 's"%s"' % escape(v.encode("utf-8", "surrogatepass"))
    if t is bytes:
        return 'b"%s"' % escape(v)
    if t is bytearray:
        return 'B"%s"' % escape(v)
    if t is list:
        return "[" + "".join(dump(x, ordered) + "," for x in v) + "]"
    if t is tuple:
        return "(" + "".join(dump(x, ordered) + "," for x in v) + ")"
    if t in (set, frozenset):
        members = "".join(x + "," for x in sorted(dump(x) for x in v))
        return "<%s>" % members if t is set else "{|%s|}" % members
    if t is dict:
        entries = [(dump(k, ordered), dump(x, ordered)) for k, x in v.items()]
        return "{" + "".join("%s:%s," % e for e in (entries if ordered else sorted(entries))) + "}"
    raise TypeError("no plain value: %r" % t)


def sharing(v):
    """For each mutable container, in the order of a walk, the number of its first occurrence."""
    numbers, seen, todo = {}, [], [v]
    while todo:
        x = todo.pop()
        t = type(x)
        if t in (list, dict, set, bytearray):
            known = id(x) in numbers
            seen.append(numbers.setdefault(id(x), len(numbers)))
            if known:
                continue
        if t in (list, tuple):
            todo.extend(reversed(x))
        elif t is dict:
            todo.extend(reversed(list(x.values())))
    return seen


def is_plain_tree(v, depth_max=190):
    """Whether dumping ends: no cycles, not too deep."""
    state, todo = {}, [(v, 0, False)]
    while todo:
        x, depth, done = todo.pop()
        if type(x) not in (list, tuple, dict):
            continue
        if done:
            state[id(x)] = "done"
            continue
        if depth > depth_max or state.get(id(x)) == "open":
            return False
        if state.get(id(x)) == "done":
            continue
        state[id(x)] = "open"
        todo.append((x, depth, True))
        todo.extend((y, depth + 1, False) for y in (x.values() if type(x) is dict else x))
    return True
