# SPDX-License-Identifier: GPL-3.0-or-later
"""Random nodes and deltas: genuine ones, made by DeepDiff from random edits, and synthetic ones, made of random paths
and values in all categories. Everything that can be told apart by a delta occurs: nasty keys, equal values of other
types, shared containers, damaged paths."""
import pickle
import struct

try:
    from deepdiff.helper import Opcode
except ImportError:
    Opcode = None

WORDS = ["name", "type", "uuid", "location", "levels", "data", "links", "nodes", "color", "x", "y", "a", "b"]
NASTY_WORDS = ["it's", 'say "hi"', "both'\"", "a.b", "a]b", "[a", "a\\b", "\\", "", "__x", "__", "5", "None", "1.5",
               "new\nline", "nul\x00", "été", "日本", "x\U0001d1c0", "\U0001d1c0'", "\ud800", "root['a']", "'", "1,",
               "b'x'", "(1)", "#", " a", "()", "-1", "0x1", "j", "1j"]
PLAIN_TYPES = [bool, int, float, str, bytes, list, tuple, dict, set, frozenset, type(None)]
SMALL = 10000
OPTIONS = [{}, {"ignore_order": True, "report_repetition": True}]


class Cases:
    """modern: also what only deepdiff 8 handles as 8.1.1 does."""

    def __init__(self, rng, modern):
        self.rng = rng
        self.modern = modern

    # ---- values ----

    def one_of(self, *functions):
        return self.rng.choice(functions)()

    def word(self):
        if self.modern and self.rng.random() < 0.15:
            return self.rng.choice(NASTY_WORDS)
        return self.rng.choice(WORDS) + self.rng.choice(["", "", "", ".001", " b", "2"])

    def number(self):
        # deepdiff 6 deletes whatever is there; 8 looks for an equal value, and NaN is never equal.
        n = self.any_number()
        return n if self.modern or n == n else 0.25

    def any_number(self):
        r = self.rng
        return self.one_of(
            lambda: r.randrange(-3, 5), lambda: r.randrange(-3, 5), lambda: r.randrange(-1000, 1000),
            lambda: r.choice([0.0, 1.0, -0.0, 0.5, 1e22, 1.5, -2.25, 5e-324, 1e16, 1e-5, 0.1]),
            lambda: r.uniform(-10, 10), lambda: struct.unpack("<f", r.randbytes(4))[0],
            lambda: struct.unpack("<d", r.randbytes(8))[0],
            lambda: r.choice([-(2**31) - 1, 2**62, -(2**63), 2**63, 2**64, 10**30, -(10**25), 255, 256]),
            lambda: r.choice([float("inf"), float("-inf"), float("nan")]))

    def scalar(self):
        r = self.rng
        return self.one_of(self.number, self.number, self.word, lambda: r.random() < 0.5, lambda: None,
                           lambda: r.choice([b"", b"abc", b"x", r.randbytes(3)]),
                           lambda: r.choice(["", "1", "12", "-7", "1.5", "ab", "é", " 3 ", "1e3", "nan", "١٢"]))

    def key(self):
        if not self.modern:
            return self.word()
        r = self.rng
        if r.random() < 0.75:
            return self.word()
        return self.one_of(lambda: r.randrange(-1, 4), lambda: r.randrange(-1, 4), lambda: r.choice([0.5, 1.0, 1e100, -2.5e-7]),
                           lambda: r.choice([True, False, None]), lambda: (r.randrange(3), self.word()),
                           lambda: (r.randrange(3),), lambda: r.choice([(), b"k", frozenset([1]), float("inf")]))

    def hashable(self):
        r = self.rng
        return self.one_of(self.word, self.number, lambda: r.choice([None, True, b"q"]), lambda: (r.randrange(3), "t"),
                           lambda: frozenset([r.randrange(3)]))

    def members(self, n_max=4):
        return [self.hashable() for _ in range(self.rng.randrange(n_max))]

    def value(self, depth=3):
        r = self.rng
        if depth <= 0 or r.random() < 0.3:
            return self.scalar()
        n = r.choice([0, 1, 2, 3, 3, 5])
        kind = r.randrange(12)
        if kind < 4:
            return {self.key(): self.value(depth - 1) for _ in range(n)}
        if kind < 7:
            return [self.value(depth - 1) for _ in range(n)]
        if kind < 8:
            return [self.scalar() for _ in range(r.randrange(9))]
        if kind < 9:
            return [self.rng.randrange(4) for _ in range(r.randrange(9))]
        if kind < 11:
            return tuple(self.value(depth - 1) for _ in range(n))
        return r.choice([set, frozenset])(self.members())

    def node(self):
        """Like the add-on's: a dict with attributes, lists of dicts, vectors."""
        r = self.rng
        if r.random() < 0.3:
            return self.value(4)
        node = {"name": self.word(), "location": [self.number() for _ in range(3)],
                "items": [{"name": self.word(), "value": self.scalar(), "co": (self.number(), self.number())}
                          for _ in range(r.randrange(5))],
                "links": [self.word() for _ in range(r.randrange(7))]}
        if r.random() < 0.5:
            node["tags"] = r.choice([set, frozenset])(self.members(5))
        for _ in range(r.randrange(5)):
            node[self.key()] = self.value(3)
        return node

    # ---- edits ----

    def places(self, v):
        """All (container, key) pairs of mutable containers below v, and v itself as (None, None)."""
        places, todo = [(None, None)], [v]
        while todo:
            x = todo.pop()
            if type(x) in (list, dict):
                keys = list(x) if type(x) is dict else range(len(x))
                places.extend((x, k) for k in keys)
                todo.extend(x[k] for k in keys)
        return places

    def changed(self, v):
        r = self.rng
        kind = r.randrange(8)
        if kind == 0:
            return self.value(2)
        if kind == 1:
            new_type = r.choice(PLAIN_TYPES)
            try:
                # bytes(2**31) is a value, but not one to wait for; and DeepDiff tries such conversions, too.
                if new_type is bytes and type(v) is int and v > SMALL:
                    return self.scalar()
                new = new_type(v)
            except Exception:
                return self.scalar()
            return 7 if type(new) is int and SMALL < new < 2**62 else new
        if type(v) is tuple:
            items = list(v)
            self.edit_list(items)
            return tuple(items)
        if type(v) in (set, frozenset):
            return type(v)(list(v)[r.randrange(2):] + self.members(3))
        if type(v) is list:
            self.edit_list(v)
            return v
        if type(v) is dict:
            self.edit_dict(v)
            return v
        return self.scalar()

    def edit_list(self, items):
        r = self.rng
        for _ in range(r.choice([1, 1, 2, 4])):
            kind = r.randrange(7)
            at = r.randrange(len(items) + 1)
            if kind == 0 or not items:
                items.insert(at, self.value(2) if r.random() < 0.5 else self.scalar())
            elif kind == 1:
                items.pop(r.randrange(len(items)))
            elif kind == 2:
                items.insert(at, r.choice(items))
            elif kind == 3:
                r.shuffle(items)
            elif kind == 4:
                items[at:at] = [self.scalar() for _ in range(r.randrange(4))]
            elif kind == 5:
                del items[at:at + r.randrange(4)]
            else:
                i = r.randrange(len(items))
                items[i] = self.changed(items[i])

    def edit_dict(self, items):
        r = self.rng
        for _ in range(r.choice([1, 1, 2, 3])):
            keys = list(items)
            if not keys or r.random() < 0.4:
                items[self.key()] = self.value(2)
            elif r.random() < 0.5:
                del items[r.choice(keys)]
            else:
                key = r.choice(keys)
                items[key] = self.changed(items[key])

    def edited(self, v):
        v = pickle.loads(pickle.dumps(v))
        for _ in range(self.rng.choice([1, 1, 2, 3, 6])):
            container, key = self.rng.choice(self.places(v))
            if container is None:
                v = self.changed(v)
            else:
                container[key] = self.changed(container[key])
        return v

    def alias(self, v):
        """Makes some containers of v the same object."""
        v = pickle.loads(pickle.dumps(v))
        places = [(c, k) for c, k in self.places(v) if c is not None]
        containers = [c[k] for c, k in places if type(c[k]) in (list, dict)]
        for _ in range(3):
            if not containers or len(places) < 2:
                break
            container, key = self.rng.choice(places)
            target = self.rng.choice(containers)
            below = {id(x) for c, k in self.places(target) if c is not None for x in (c, c[k])}
            if id(container) not in below and container is not target:
                container[key] = target
        return v

    # ---- paths ----

    def path_soup(self):
        """Texts near the literals that a path may hold."""
        r = self.rng
        parts = ["1", "0", "00", "7", "_", ".", "e", "E", "+", "-", " ", "\t", "x", "0x", "0b1", "0o", "f", "j", "J", "None", "True",
                 "False", "(", ")", ",", "#", "'", '"', "b'", "u'", "a", "é", "\U0001d1c0", "\\", "__", "\n", "\f", ":", "set", "...",
                 "1e5", "1.5", "٣", "\0", "{", "}", "]", "[", "inf", "nan", "0777", "1_000"]
        return "root[" + "".join(r.choice(parts) for _ in range(r.choice([1, 1, 2, 2, 3, 4, 6]))) + "]"

    # ---- synthetic deltas ----

    def element_text(self, key):
        if type(key) is str:
            return '["%s"]' % key if "'" in key else "['%s']" % key
        if type(key) is tuple and self.rng.random() < 0.5:
            return "[%s]" % "][".join(map(repr, key))
        return "[%r]" % (key,)

    def real_path(self, v, stop=0.25):
        """Keys of a random walk."""
        keys = []
        while self.rng.random() > stop or not keys:
            if type(v) is dict and v:
                key = self.rng.choice(list(v))
            elif type(v) in (list, tuple) and v:
                key = self.rng.randrange(-1, len(v))
            elif type(v) in (str, bytes) and v and self.rng.random() < 0.2:
                key = self.rng.randrange(len(v))
            else:
                break
            keys.append(key)
            v = v[key]
        return keys, v

    def path(self, base):
        """A path text and the value there (None if it was changed afterwards)."""
        r = self.rng
        keys, v = self.real_path(base)
        kind = r.randrange(12)
        if kind == 0:
            keys.append(self.key())
            v = None
        elif kind == 1 and keys:
            keys[-1] = r.randrange(-2, 7)
            v = None
        elif kind == 2 and keys:
            keys[r.randrange(len(keys))] = self.key()
            v = None
        elif kind == 3 and type(v) in (list, tuple):
            keys.append(len(v) + r.choice([0, 0, 1]))
            v = None
        elif kind == 4 and self.modern and keys and type(keys[-1]) is int:
            keys[-1] = r.choice([float(keys[-1]), bool(keys[-1]), str(keys[-1])])
            v = None
        text = "root" + "".join(map(self.element_text, keys))
        if self.modern and r.random() < 0.04:
            at = r.randrange(len(text) + 1)
            text = text[:at] + r.choice(["'", '"', "[", "]", ".", "\U0001d1c0", "__", "1", " ", "keys", ".real", ""]) + text[at + 1:]
        return text, v

    def pool_value(self):
        """Often a value that was used before in this delta: the same object."""
        r = self.rng
        if self.pool and r.random() < 0.3:
            return r.choice(self.pool)
        v = self.value(2)
        if self.pool and type(v) is list and r.random() < 0.2:
            v.append(r.choice(self.pool))
        if type(v) in (list, dict, tuple):
            self.pool.append(v)
        return v

    def type_change(self, v):
        r = self.rng
        change = {"old_type": type(v) if type(v) is not bytearray else list, "new_type": r.choice(PLAIN_TYPES)}
        if r.random() < 0.2 or (type(v) in (set, frozenset) and len(v) > 1):
            change["new_value"] = self.pool_value()
        if self.modern and r.random() < 0.03:
            change["new_type"] = r.choice([1, "str", None, complex])
        return change

    def opcodes(self, v):
        r = self.rng
        n = len(v) if type(v) in (list, tuple, str, bytes) else 3
        codes, at = [], 0
        for _ in range(r.randrange(5)):
            to = r.randrange(at, n + 2)
            tag = r.choice(["equal", "equal", "replace", "insert", "delete"])
            new = None if tag == "equal" else [] if tag == "delete" else [self.pool_value() for _ in range(r.randrange(3))]
            if r.random() < 0.1:
                new = r.choice([tuple(new or ()), "ab", {"k": 1}, None, b"z"])
            if r.random() < 0.05:
                at = r.choice([-2, None, True, 10**20, 1.0])
            codes.append(Opcode(tag, at, to, 0, 0, None, new))
            at = to
        return codes

    def indexes(self, v):
        r = self.rng
        items = list(v) if type(v) in (list, tuple) else []
        n = len(items)
        result = {}
        for _ in range(r.randrange(4)):
            index = r.randrange(-1, n + 2) if r.random() < 0.9 or not self.modern else r.choice([1.0, True, "x", None, 0.5])
            # 6.2.2 has other fingerprints, so old deepdiff only gets values that are hashable.
            if items and r.random() < 0.5:
                result[index] = r.choice(items)
            else:
                result[index] = self.pool_value() if self.modern else self.scalar()
        return result

    def synthetic(self, base):
        r = self.rng
        self.pool = []
        makers = {
            "values_changed": lambda v: {"new_value": self.pool_value()},
            "type_changes": self.type_change,
            "dictionary_item_added": lambda v: self.pool_value(),
            "set_item_added": lambda v: set(self.members()),
            "set_item_removed": lambda v: set((list(v) if type(v) in (set, frozenset) else [])[:2] + self.members(2)),
            "iterable_item_added": lambda v: self.pool_value(),
            "attribute_added": lambda v: self.pool_value(),
            "iterable_items_added_at_indexes": self.indexes,
            "iterable_items_removed_at_indexes": self.indexes,
        }
        if self.modern:
            makers["_iterable_opcodes"] = self.opcodes
            makers["iterable_item_moved"] = lambda v: {"new_path": self.path(base)[0], "value": v}
            for name in ("iterable_item_removed", "dictionary_item_removed", "attribute_removed"):
                makers[name] = lambda v: v if r.random() < 0.6 else self.pool_value()
        delta = {}
        for name in r.sample(sorted(makers), r.choice([1, 1, 2, 2, 3, 4])):
            entries = {}
            for _ in range(r.choice([1, 1, 2, 3, 5])):
                found = self.fitting_path(base, name)
                if found:
                    entries[found[0]] = makers[name](found[1])
            delta[name] = entries
        return delta

    def fitting_path(self, base, name):
        """Mostly one that deepdiff does not refuse at once for this category."""
        if self.modern and self.rng.random() < 0.02:
            return None, None
        for _ in range(30):
            path, v = self.path(base)
            if name.startswith("set_item"):
                fits = type(v) in (set, frozenset)
            elif name.endswith("_at_indexes") or name == "_iterable_opcodes":
                fits = type(v) in (list, tuple)
            elif name.startswith("iterable_item"):
                fits = path.endswith("]") and path[-2].isdigit()
            else:
                fits = True
            if fits or self.rng.random() < 0.005:
                return path, v
        return None
