# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a store with nothing but what scenekeep-store(5) says: the tables of the manual are the program."""

import hashlib
import os
import re

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def manual():
    with open(os.path.join(TOP, "src", "man", "scenekeep-store.5"), encoding="utf-8") as stream:
        return stream.read()


class Struct:
    """A table of offset, size and field. Sizes that are fields have a letter, with which offsets behind are given."""

    def __init__(self, table):
        self.rows = [tuple(row.split(" Ta ", 2)) for row in re.findall(r"^\.It (\S.* Ta .* Ta .*)$", table, re.M)
                     if not row.startswith("offset")]

    def read(self, data, base=0):
        return Fields(self.rows, data, base)


class Fields:
    def __init__(self, rows, data, base):
        self.base = base
        self.end = base
        self._values = {}
        sizes = {}
        for offset, size, text in rows:
            if "if compatible says so" in text and not self.number("compatible"):
                continue
            start = base + eval(offset, {}, sizes)  # pylint: disable=eval-used
            assert start == self.end, f"{text!r} is not where the field before it ends"
            self.end = start + eval(size, {}, sizes)  # pylint: disable=eval-used
            value = data[start:self.end]
            assert len(value) == self.end - start, f"the file ends within {text!r}"
            letter = re.match(r"([a-z]): ", text)
            if letter:
                sizes[letter.group(1)] = int.from_bytes(value, "little")
            if text.startswith("Ql "):
                assert value.decode() == text[3:], f"{value!r} is not {text}"
            elif text.startswith("digest of bytes 0 to 95"):
                assert hashlib.sha256(data[base:base + 96]).digest() == value, text
            elif text.startswith(("digest of everything before it", "reserved")):
                want = hashlib.sha256(data[base:start]).digest() if text.startswith("digest") else bytes(len(value))
                assert value == want, text
            self._values[text] = value

    def raw(self, prefix):
        names = {re.sub(r"^[a-z]: ", "", text): value for text, value in self._values.items()}
        found = [prefix] if prefix in names else [name for name in names if name.startswith(prefix)]
        assert len(found) == 1, f"{len(found)} fields begin with {prefix!r}"
        return names[found[0]]

    def number(self, prefix):
        return int.from_bytes(self.raw(prefix), "little")


def tables():
    """The tables of the manual, in their order."""
    store, segment, record, manifest, entry = (
        Struct(table) for table in re.findall(r'^\.Bl -column "offset".*?^\.El$', manual(), re.M | re.S))
    return {"store": store, "segment": segment, "record": record, "manifest": manifest, "entry": entry}


def aligned(offset):
    return (offset + 7) // 8 * 8


class Record:
    def __init__(self, fields, payload):
        self.fields = fields
        self.payload = payload
        self.kind, self.flags = fields.number("kind"), fields.number("flags")
        self.sequence = fields.number("sequence")
        self.author, self.key, self.meta = (fields.raw(name) for name in ("author", "key", "meta"))


def read_segment(path, layout):
    """Its header, and its records up to where there is no other."""
    with open(path, "rb") as stream:
        data = stream.read()
    header = layout["segment"].read(data)
    assert header.number("number") == int(os.path.basename(path)[:10])
    at, records = header.number("size of this header"), []
    while data[at:at + 8] == header.raw("mark"):
        fields = layout["record"].read(data, at)
        at = aligned(fields.end)
        assert not any(data[fields.end:at])
        payload, size = None, fields.number("size of the payload")
        if size and not fields.number("flags") & 0x0200:
            assert fields.number("number of the segment in which") == header.number("number")
            assert fields.number("offset of the payload") == at
            payload = data[at:at + size]
            assert hashlib.sha256(payload).digest() == fields.raw("digest of the payload")
            assert not any(data[at + size:aligned(at + size)])
            at = aligned(at + size)
        records.append(Record(fields, payload))
    assert not any(data[at:]), f"{path} goes on after its last record"
    return header, records


def read_manifest(path, layout):
    """Its header, its entries by key, and the digest that closes it."""
    with open(path, "rb") as stream:
        data = stream.read()
    with open(re.sub(r"\.(snap|base)$", ".twin", path), "rb") as stream:
        assert stream.read() == data
    header = layout["manifest"].read(data)
    assert header.end == len(data)
    entries, block, at = {}, header.raw("entries, one after the other"), 0
    while at < len(block):
        entry = layout["entry"].read(block, at)
        entries[entry.raw("key").decode()] = entry
        at = entry.end
    assert len(entries) == header.number("number of entries")
    return header, entries, data[-32:]


def short_texts(data):
    out = []
    while data:
        out.append(data[1:1 + data[0]])
        data = data[1 + data[0]:]
    return out
