#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the corpora of fuzz-delta and fuzz-path from tests/data/delta/records.mudc: of each kind of record the
smallest, and the paths of these. Usage: make-delta-seeds.py, in tests/fuzz."""
import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE_MAX = 900


def records():
    data = open(os.path.join(HERE, "..", "data", "delta", "records.mudc"), "rb").read()
    count, = struct.unpack_from("<I", data, 8)
    at = 12
    for _ in range(count):
        at += 12
        parts = []
        for _ in range(5):
            size, = struct.unpack_from("<I", data, at)
            parts.append(data[at + 4:at + 4 + size])
            at += 4 + size
        yield parts[0].decode("ascii"), parts[1], parts[2]


def kind(label):
    """Conversions are many: one of each to a type is enough."""
    label = label.split(";")[0]
    return re.sub(r"^rule:\w+ to ", "rule:to ", label)


def write(folder, name, data):
    folder = os.path.join(HERE, "corpus", folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, re.sub(r"\W+", "-", name)), "wb") as f:
        f.write(data)


def main():
    kinds, paths = {}, set()
    for label, node, delta in records():
        if len(node) + len(delta) <= SIZE_MAX:
            kinds.setdefault(kind(label), []).append(struct.pack("<H", len(node)) + node + delta)
            paths.update(re.findall(rb"root[^\x00-\x1f\x80-\xff]{1,40}[\])'\"a-z]", delta))
    for name, seeds in kinds.items():
        for i, seed in enumerate(sorted(seeds, key=len)[:1 if name.startswith("rule") else 6]):
            write("delta", "%s-%d" % (name, i), seed)
    shapes = {}
    for path in sorted(paths, key=len):
        shapes.setdefault(re.sub(rb"[a-z]+", b"a", re.sub(rb"[0-9]+", b"0", path)), path)
    for i, path in enumerate(sorted(shapes.values())[:80]):
        write("path", "seed-%02d" % i, path)
    for i, path in enumerate(["root[(1, None)][(((2,)))]", "root[1 , 2 ,]", "root[-0x_f][1_0.5e-3][.5][1e999][- 7]", "root[b'x'][u'y'][rb'z']",
                              "root['x\U0001d1c0'][\U0001d1c0']", "root[1j][set()][...][{1: 2}][1#c]", "root.a.b[0].c['d']"]):
        write("path", "literal-%d" % i, path.encode())


main()
