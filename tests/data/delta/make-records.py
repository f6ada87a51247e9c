#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes records.mudc, the deltas with which the project tests itself (format: tests/unit/delta-records.h): one or more
hand-made ones per rule of deepdiff's, and random ones of every family. Results are those of deepdiff 8.1.1, so that is
what it must run with: make-records.py > records.mudc"""
import os
import pickle
import random
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "unit"))

import logging

import deepdiff
from deepdiff import DeepDiff, Delta
from deepdiff.helper import Opcode
from deepdiff.path import _path_to_elements
from deepdiff.serialization import pickle_dump

from canonical import dump, is_plain_tree
from delta_cases import OPTIONS, Cases

ABORTED, SKIPPED, GENUINE, EXACT = 1, 2, 4, 8
FAMILIES = ["edit", "drift", "alias", "order-edit", "order-drift", "order-alias", "synth", "synth"]
RANDOM_PER_FAMILY = 22
SIZE_MAX = 4000
SEED = 20240817

ADDED, REMOVED = "iterable_items_added_at_indexes", "iterable_items_removed_at_indexes"
shared = [[1, 2], [3]]
twice = [1, 2]

# label, node, delta
BY_RULE = [
    # values_changed
    ("value", {"a": 1}, {"values_changed": {"root['a']": {"new_value": 2}}}),
    ("value of a missing key", {"a": 1}, {"values_changed": {"root['b']": {"new_value": 2}}}),
    ("value below a missing key", {"a": 1}, {"values_changed": {"root['b']['c']": {"new_value": 2}}}),
    ("value without new_value", {"a": 1}, {"values_changed": {"root['a']": {"old_value": 2}}}),
    ("value that is no dict", {"a": 1}, {"values_changed": {"root['a']": [2]}}),
    ("value of the root", {"a": 1}, {"values_changed": {"root": {"new_value": [1]}}}),
    ("value at a negative index", [1, 2, 3], {"values_changed": {"root[-1]": {"new_value": 9}}}),
    ("value at a bool index", [1, 2, 3], {"values_changed": {"root[True]": {"new_value": 9}}}),
    ("value at a float index", [1, 2, 3], {"values_changed": {"root[1.0]": {"new_value": 9}}}),
    ("value of an equal key", {1: "a", "b": 2}, {"values_changed": {"root[True]": {"new_value": 9}}}),
    ("value in a tuple", {"t": (1, 2, 3)}, {"values_changed": {"root['t'][1]": {"new_value": 9}}}),
    ("value in a tuple in a tuple", {"t": ((1, 2), 3)}, {"values_changed": {"root['t'][0][1]": {"new_value": 9}}}),
    ("value in both tuples", {"t": ((1, 2), 3)},
     {"values_changed": {"root['t'][1]": {"new_value": 8}, "root['t'][0][1]": {"new_value": 9}}}),
    ("value in a str", {"s": "abc"}, {"values_changed": {"root['s'][1]": {"new_value": "x"}}}),
    ("value at None path", {"a": 1}, {"values_changed": {None: {"new_value": 2}}}),
    ("category that is no dict", {"a": 1}, {"values_changed": [1]}),
    ("falsy category", {"a": 1}, {"values_changed": None, "type_changes": 0, "dictionary_item_added": []}),
    ("shared list in the node", {"a": shared, "b": shared}, {"values_changed": {"root['a'][0][0]": {"new_value": 9}}}),
    ("shared list in the delta", {"a": 1, "b": 2},
     {"values_changed": {"root['a']": {"new_value": twice}, "root['b']": {"new_value": twice}},
      "iterable_item_added": {"root['a'][2]": 3}}),
    ("quotes in keys", {"it's": 1, 'a"b': 2},
     {"values_changed": {'root["it\'s"]': {"new_value": 3}, "root['a\"b']": {"new_value": 4}}}),
    ("both quotes in a key", {"it's \"x\"": 1}, {"values_changed": {"root[\"it's \"x\"\"]": {"new_value": 3}}}),
    ("backslash in a key", {"a\\b": 1, "\\": 2},
     {"values_changed": {"root['a\\b']": {"new_value": 3}, "root['\\']": {"new_value": 4}}}),
    ("brackets and dots in keys", {"a.b": 1, "a]b": 2, "[a": 3},
     {"values_changed": {"root['a.b']": {"new_value": 4}, "root['a]b']": {"new_value": 5}, "root['[a']": {"new_value": 6}}}),
    ("number keys", {5: 1, -1: 2, 3.5: 3, None: 4, True: 5, 1e100: 6, -2.5e-7: 7},
     {"values_changed": {"root[%r]" % k: {"new_value": "x"} for k in (5, -1, 3.5, None, True, 1e100, -2.5e-7)}}),
    ("attributes", {"a": 5}, {"values_changed": {"root.a": {"new_value": 1}, "root['a'].real": {"new_value": 2}}}),
    # sets
    ("set union", {"s": {1, 2}}, {"set_item_added": {"root['s']": {2.0, 3}}}),
    ("set difference", {"s": frozenset([1, 2])}, {"set_item_removed": {"root['s']": {1, 9}}}),
    ("set that is a list", {"s": [1]}, {"set_item_added": {"root['s']": {2}}}),
    ("set that is missing", {"a": 1}, {"set_item_added": {"root['s']": {2}}}),
    ("set in a tuple", {"t": ({1},)}, {"set_item_added": {"root['t'][0]": {2}}}),
    # type_changes
    ("type change with value", {"a": 1}, {"type_changes": {"root['a']": {"new_type": str, "new_value": "x"}}}),
    ("type change that fails", {"a": [1]}, {"type_changes": {"root['a']": {"new_type": int}}}),
    ("type change of the root that fails", [1], {"type_changes": {"root": {"new_type": int}}}),
    ("type change without type", {"a": 1}, {"type_changes": {"root['a']": {"old_type": int}}}),
    ("type change to NoneType", {"a": 1}, {"type_changes": {"root['a']": {"new_type": type(None)}}}),
    # _iterable_opcodes
    ("opcodes", {"l": [1, 2, 3, 4, 5, 6]},
     {"_iterable_opcodes": {"root['l']": [Opcode("delete", 0, 2, 0, 0, None, []), Opcode("equal", 2, 4, 0, 2, None, None),
                                          Opcode("insert", 4, 4, 2, 3, None, [9]), Opcode("equal", 4, 6, 3, 5, None, None)]}}),
    ("opcodes on a tuple", {"p": {"t": (1, 2)}, "q": 1},
     {"_iterable_opcodes": {"root['p']['t']": [Opcode("equal", 0, 1, 0, 1, None, None)]}}),
    ("opcodes on a tuple in the root", {"t": (1, 2)}, {"_iterable_opcodes": {"root['t']": []}}),
    ("opcodes on a dict", {"p": {}}, {"_iterable_opcodes": {"root['p']": []}}),
    ("opcodes on nothing", {"p": {}}, {"_iterable_opcodes": {"root['q']": []}}),
    ("opcodes with text", {"l": [1]}, {"_iterable_opcodes": {"root['l']": [Opcode("insert", 0, 0, 0, 2, None, "ab")]}}),
    ("opcodes with odd bounds", {"l": [1, 2, 3]},
     {"_iterable_opcodes": {"root['l']": [Opcode("equal", -2, None, 0, 0, None, None), Opcode("equal", True, 10**30, 0, 0)]}}),
    ("opcodes without values", {"l": [1]}, {"_iterable_opcodes": {"root['l']": [Opcode("replace", 0, 1, 0, 1)]}}),
    ("opcodes seen through an alias", {"a": shared, "b": shared},
     {"_iterable_opcodes": {"root['a']": [Opcode("equal", 1, 2, 0, 1, None, None)]}}),
    # items
    ("item appended", {"l": [1]}, {"iterable_item_added": {"root['l'][1]": 2, "root['l'][2]": 3}}),
    ("item inserted", {"l": [1, 2]}, {"iterable_item_added": {"root['l'][0]": 8, "root['l'][-1]": 9}}),
    ("item beyond the end", {"l": [1]}, {"iterable_item_added": {"root['l'][3]": 2}}),
    ("item inserted into a tuple", {"t": (1, 2)}, {"iterable_item_added": {"root['t'][0]": 9}}),
    ("item appended to a tuple", {"t": (1, 2)}, {"iterable_item_added": {"root['t'][2]": 9}}),
    ("item inserted into a dict", {"d": {0: 1, 1: 2}}, {"iterable_item_added": {"root['d'][1]": 9}}),
    ("item added to a number", {"d": 5}, {"iterable_item_added": {"root['d'][1]": 9}}),
    ("item removed", {"l": [1, 2, 3]}, {"iterable_item_removed": {"root['l'][0]": 1, "root['l'][2]": 3}}),
    ("item removed elsewhere", {"l": [1, 2, 3, 2]}, {"iterable_item_removed": {"root['l'][0]": 2}}),
    ("item removed at the nearest", {"l": [2, 1, 1, 2, 1]}, {"iterable_item_removed": {"root['l'][2]": 2}}),
    ("item removed nowhere", {"l": [1]}, {"iterable_item_removed": {"root['l'][0]": 5}}),
    ("item removed by a key", {"l": [1]}, {"iterable_item_removed": {"root['l']['x']": 5}}),
    ("item removed from a tuple", {"t": (1, 2, 3)}, {"iterable_item_removed": {"root['t'][1]": 2}}),
    ("item removed from a str", {"s": "abc"}, {"iterable_item_removed": {"root['s'][1]": "b"}}),
    ("item moved", {"l": [1, 2, 3]},
     {"iterable_item_moved": {"root['l'][0]": {"new_path": "root['l'][2]", "value": 1}}}),
    ("key added", {"a": 1}, {"dictionary_item_added": {"root['b']": 2, "root['a']": 3}}),
    ("key removed", {"a": 1, "b": 2}, {"dictionary_item_removed": {"root['a']": 9}}),
    ("key None removed", {None: 1}, {"dictionary_item_removed": {"root[None]": 1}}),
    ("root removed", {"a": 1}, {"dictionary_item_removed": {"root": 1}}),
    ("root removed and set", {"a": 1}, {"iterable_item_removed": {"root": 1}, "dictionary_item_added": {"root": 2}}),
    ("attribute added and removed", {"a": 1}, {"attribute_added": {"root['b']": 2}, "attribute_removed": {"root['a']": 1}}),
    # sorting
    ("removals with mixed keys", {1: 1, "a": 2, None: 3}, {"dictionary_item_removed": {"root[1]": 1, "root['a']": 2}}),
    ("removals with mixed keys below", {"m": {1: 1, "a": 2}},
     {"dictionary_item_removed": {"root['m'][1]": 1, "root['m']['a']": 2}}),
    ("removals with a None path", {"a": 1}, {"dictionary_item_removed": {None: 1, "root['a']": 2}}),
    ("many removals", list(range(80)), {"iterable_item_removed": {"root[%d]" % i: i for i in range(3, 75)}}),
    # indexes
    ("indexes merged", list("abcd"), {ADDED: {"root": {0: "x", 2: "y"}}, REMOVED: {"root": {1: "b"}}}),
    ("indexes beyond the end", list("ab"), {ADDED: {"root": {9: "x", 3: "y", 7: "z"}}}),
    ("indexes with a repeated value", [5, 1, 1], {ADDED: {"root": {0: 1, 2: 1}}}),
    ("indexes that do not fit", list("ab"), {REMOVED: {"root": {1: "q"}}}),
    ("indexes of a text", {"s": "xy"}, {ADDED: {"root['s']": {}}}),
    ("indexes of None", {"s": None}, {REMOVED: {"root['s']": {}}}),
    ("indexes of a number", {"s": 5}, {ADDED: {"root['s']": {0: 1}}}),
    ("indexes of a set", {"s": {5}}, {ADDED: {"root['s']": {0: 1}}}),
    ("indexes of a tuple", {"t": ((1,), (2,))}, {ADDED: {"root['t']": {1: (3,)}}}),
    ("indexes of a dict", {"d": {0: "a", 1: "b"}}, {ADDED: {"root['d']": {1: "c"}}}),
    ("indexes without path", [1], {ADDED: {"": {0: 1}}}),
    ("indexes without dict", [1], {ADDED: {"root": [1]}}),
    ("indexes falsy", [1], {ADDED: None}),
    ("fingerprints without order", [[1, 2], [2, 1, 1], (1, [2]), {"a": 1, "__b": 2}, [None], ["NONE"], [True]],
     {ADDED: {"root": {0: [2, 1], 1: ["NONE"], 2: {"a": 1}, 3: [1.0]}}}),
    ("fingerprints with memory", [[1.0], [True], [0.0]], {ADDED: {"root": {0: [1], 2: [-0.0]}}}),
    ("fingerprint of bytes", [[b"\xff"]], {ADDED: {"root": {0: [1]}}}),
    ("fingerprint of a surrogate", [["\ud800"]], {ADDED: {"root": {0: [1]}}}),
    ("fingerprint of a long number", [[10**5000]], {ADDED: {"root": {0: [1]}}}),
    ("long number in a log message", [1, 10**5000], {REMOVED: {"root": {1: 2}}}),
    ("long number among what is left", [1], {ADDED: {"root": {5: 1, 6: 10**5000}}}),
    # tops
    ("empty", {"a": 1}, {}),
    ("unknown category", {"a": 1}, {"something": {"root": 1}}),
    ("no dict", {"a": 1}, [1]),
]

CONVERTED = [None, True, False, 0, 5, -1, 2**70, 0.0, 1.5, -2.9, 1e16, 1e-5, 1e22, 0.1, float("inf"), float("nan"), "",
             "12", " -7_0 ", "1_", "0x10", "1e3", "nan", "-Infinity", "ab", "a\n'\"\\é\u200b\ud800\U0001f600", "١٢", b"", b"12",
             b"a\x00\xff'", [], [1, 2], [300], ["ab", (1, 2)], ["ab", "a"], (), (1, "a"), {}, {1: 2, "a": [None]},
             set(), {5}, frozenset(), frozenset([7]), [[1], [2]], 10**5000]
TYPES = [bool, int, float, str, bytes, list, tuple, dict, set, frozenset]


class LogCounter(logging.Handler):
    count = 0

    def emit(self, record):
        self.count += 1


def fnv(text):
    h = 0xCBF29CE484222325
    for byte in text.encode("ascii"):
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def record(log, label, node, delta, flags=0, wanted=None):
    node_pickle = pickle.dumps(node, 4)
    _path_to_elements.cache_clear()
    log.count = 0
    try:
        result = pickle.loads(node_pickle) + Delta(delta)
        if not is_plain_tree(result):
            return None
        after, text, order = pickle.dumps(result, 4), dump(result), fnv(dump(result, True))
        flags |= SKIPPED if log.count else 0
        flags |= EXACT if wanted is not None and dump(wanted) == text else 0
        outcome = "ok"
    except Exception as e:
        after, text, order, flags, outcome = b"", "", 0, flags | ABORTED, type(e).__name__
    parts = [("%s;%s" % (label, outcome)).encode("ascii"), node_pickle, delta, after, text.encode("ascii")]
    if sum(map(len, parts)) > SIZE_MAX and not label.startswith("rule"):
        return None
    return struct.pack("<IQ", flags, order) + b"".join(struct.pack("<I", len(p)) + p for p in parts)


def rule_records(log):
    for label, node, delta in BY_RULE:
        yield record(log, "rule:" + label, node, pickle_dump(delta))
    for v in CONVERTED:
        for t in TYPES:
            if not (t is bytes and type(v) is int and v > 1000):
                yield record(log, "rule:%s to %s" % (type(v).__name__, t.__name__), {"a": v},
                             pickle_dump({"type_changes": {"root['a']": {"new_type": t}}}))


def random_records(log):
    for i, family in enumerate(FAMILIES):
        cases, made = Cases(random.Random(SEED + i), True), 0
        while made < RANDOM_PER_FAMILY:
            node, wanted = cases.node(), None
            if family.endswith("alias"):
                node = cases.alias(node)
            try:
                if family == "synth":
                    delta, flags = pickle_dump(cases.synthetic(node)), 0
                else:
                    wanted, flags = cases.edited(node), GENUINE
                    delta = Delta(DeepDiff(node, wanted, **OPTIONS[family.startswith("order")])).dumps()
            except Exception:
                continue
            if family.endswith("drift"):
                node = cases.edited(node)
            made_record = record(log, family, node, delta, flags, wanted)
            if made_record:
                made += 1
                yield made_record


def main():
    # The order of sets of texts would make each run's records others.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable] + sys.argv)
    if deepdiff.__version__ != "8.1.1":
        raise SystemExit("deepdiff %s: the records must be made with 8.1.1" % deepdiff.__version__)
    log = LogCounter()
    logging.getLogger("deepdiff").addHandler(log)
    logging.getLogger("deepdiff").propagate = False
    records = [r for make in (rule_records, random_records) for r in make(log) if r]
    sys.stdout.buffer.write(b"MUDC0001" + struct.pack("<I", len(records)) + b"".join(records))


main()
