#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random deltas, applied by deepdiff and by this project: verdict, value, types, order of dicts, sharing of containers
and whether something was skipped must agree. SCENEKEEP_SEED chooses the cases, SCENEKEEP_ROUNDS sets their number per
family. SCENEKEEP_DEEPDIFF_PYTHON names an interpreter that has deepdiff 8.1.1, whose behaviour is the right one: then
every run makes new cases of all kinds. With Debian's deepdiff 6 only what 8.1.1 does alike is made, as far as that can
be told: once in some ten thousand cases it is not, so these are the same in every run."""
import collections
import logging
import os
import pickle
import random
import struct
import subprocess
import sys

SEED = int(os.environ.get("SCENEKEEP_SEED") or
           (random.SystemRandom().randrange(2**32) if "SCENEKEEP_DEEPDIFF_PYTHON" in os.environ else 622))
if "SCENEKEEP_REEXEC" not in os.environ:
    # The order of sets depends on the hash seed, and the cases on that order.
    os.environ.update(SCENEKEEP_REEXEC="1", SCENEKEEP_SEED=str(SEED), PYTHONHASHSEED=str(SEED % 2**32))
    interpreter = os.environ.get("SCENEKEEP_DEEPDIFF_PYTHON") or sys.executable
    os.execv(interpreter, [interpreter] + sys.argv)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import deepdiff
    from deepdiff import DeepDiff, Delta, extract
    from deepdiff.path import _path_to_elements
    from deepdiff.serialization import pickle_dump, pickle_load
except ImportError:
    print("1..0 # SKIP python3-deepdiff is not installed")
    sys.exit(0)

from canonical import dump, is_plain_tree, sharing
from delta_cases import OPTIONS, Cases

ROUNDS = int(os.environ.get("SCENEKEEP_ROUNDS") or 150)
MODERN = deepdiff.__version__ == "8.1.1"
FAMILIES = (os.environ.get("SCENEKEEP_FAMILIES") or
            "edit drift alias order-edit order-drift order-alias synth" + (" paths" if MODERN else "")).split()

DELTA_LIMIT, DELTA_UNSUPPORTED = 3, 4


class LogCounter(logging.Handler):
    def __init__(self):
        super().__init__()
        self.count = 0

    def emit(self, record):
        self.count += 1


LOG = LogCounter()
logging.getLogger("deepdiff").addHandler(LOG)
logging.getLogger("deepdiff").propagate = False


class Echo:
    def __init__(self):
        program = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/delta-echo")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, size):
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise EOFError("delta-echo died")
        return data

    def apply(self, node, delta):
        self.process.stdin.write(struct.pack("<I", len(node)) + node + struct.pack("<I", len(delta)) + delta)
        self.process.stdin.flush()
        verdict, n_skipped = struct.unpack("<BI", self.read(5))
        blobs = [self.read(struct.unpack("<I", self.read(4))[0]) for _ in range(4)]
        return verdict, n_skipped, blobs[0].decode(), blobs[1].decode(), blobs[2].decode(), blobs[3]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def reference(node, delta):
    """deepdiff's result, or the exception it raises."""
    # Its cache takes 1, 1.0 and True for the same path.
    _path_to_elements.cache_clear()
    LOG.count = 0
    try:
        return pickle.loads(node) + Delta(delta), None
    except Exception as e:
        return None, e


def has_large_set(v):
    if type(v) in (set, frozenset):
        return len(v) > 1
    if type(v) in (list, tuple):
        return any(map(has_large_set, v))
    return type(v) is dict and any(map(has_large_set, v.values()))


def shows_set_order(node, delta):
    """Does it make a list or text of a set? Python's order is not ours."""
    changes = delta.get("type_changes")
    if type(changes) is not dict:
        return False
    made = {change.get("new_type") for change in changes.values()}
    if made & {set, frozenset} and made & {list, tuple, str, dict}:
        return True
    for path, change in changes.items():
        try:
            v = extract(node, path)
        except Exception:
            continue
        if "new_value" not in change and change.get("new_type") in (list, tuple, str, dict) and has_large_set(v):
            return True
    return False


def removes_what_it_changed(delta):
    """An item of a list that something is put in place of, and that is removed then."""
    delta = pickle_load(delta)
    changed = [path for kind in ("values_changed", "type_changes") for path in delta.get(kind, ())]
    return any(path.startswith(removed) for removed in delta.get("iterable_item_removed", ()) for path in changed)


def make_case(cases, family):
    """A node and a delta as pickles, or None when DeepDiff itself fails or the result would not be reproducible."""
    if family == "paths":
        return pickle.dumps({}, 4), pickle_dump({"dictionary_item_added": {cases.path_soup(): 1}})
    node = cases.node()
    if family.endswith("alias"):
        node = cases.alias(node)
    if family == "synth":
        delta = cases.synthetic(node)
        return None if shows_set_order(node, delta) else (pickle.dumps(node, 4), pickle_dump(delta))
    options = OPTIONS[family.startswith("order")]
    try:
        delta = Delta(DeepDiff(node, cases.edited(node), **options)).dumps()
    except Exception:
        return None
    # deepdiff 6 removes whatever is there, 8.1.1 looks for the old value.
    if not MODERN and b"_removed" in delta and (not family.endswith("edit") or removes_what_it_changed(delta)):
        return None
    if family.endswith("drift"):
        node = cases.edited(node)
    if shows_set_order(node, pickle_load(delta)):
        return None
    return pickle.dumps(node, 4), delta


def compare(node, delta, answer):
    """What differs, or None; and a word on why nothing could be compared."""
    verdict, n_skipped, detail, canonical, ordered, written = answer
    expected, error = reference(node, delta)
    if verdict == 255:
        return "node cannot be read or written", None
    if verdict != 0:
        if ordered != dump(pickle.loads(node), True) or sharing(pickle.loads(written)) != sharing(pickle.loads(node)):
            return "changed by a delta that was refused", None
        if error is None and verdict == DELTA_UNSUPPORTED:
            return None, detail
        if error is None and verdict == DELTA_LIMIT and not is_plain_tree(expected):
            return None, detail
        return (None if error else "refused: " + detail), None
    if error and not MODERN and "'<' not supported" in str(error):
        return None, "deepdiff 6 does not sort mixed paths"
    if error:
        return "applied, deepdiff raises %r" % error, None
    try:
        if canonical != dump(expected):
            return "value %s instead of %s" % (canonical, dump(expected)), None
    except TypeError as e:
        return "applied, but deepdiff's result is " + str(e), None
    if ordered != dump(expected, True):
        return "order %s instead of %s" % (ordered, dump(expected, True)), None
    if (n_skipped > 0) != (LOG.count > 0):
        return "%d skipped instead of %d" % (n_skipped, LOG.count), None
    if sharing(pickle.loads(written)) != sharing(expected):
        return "other sharing", None
    return None, None


def describe(node, delta):
    try:
        delta = pickle_load(delta)
    except Exception as e:
        delta = e
    return "node %r delta %r" % (pickle.loads(node), delta)


def check(family, cases, echo, seen):
    problems = []
    while seen["made"] < ROUNDS:
        case = make_case(cases, family)
        if not case:
            seen["not made"] += 1
            continue
        seen["made"] += 1
        problem, uncompared = compare(*case, echo.apply(*case))
        if uncompared:
            seen["not compared: " + uncompared] += 1
            if family not in ("synth", "paths") and not uncompared.startswith("deepdiff 6"):
                problem = "refused: " + uncompared
        error = None if problem else reference(*case)[1]
        seen["refused by both" if error else "applied"] += 1
        if error and os.environ.get("SCENEKEEP_VERBOSE"):
            seen["%s %s" % (type(error).__name__, str(error)[:60])] += 1
        if problem:
            problems.append((problem, describe(*case)))
    return problems


def main():
    print("1..%d" % len(FAMILIES))
    print("# deepdiff %s, SCENEKEEP_SEED=%d SCENEKEEP_ROUNDS=%d" % (deepdiff.__version__, SEED, ROUNDS))
    failed = False
    for i, family in enumerate(FAMILIES, 1):
        echo, seen = Echo(), collections.Counter()
        try:
            problems = check(family, Cases(random.Random("%d %s" % (SEED, family)), MODERN), echo, seen)
        except EOFError as e:
            problems = [(str(e), "")]
        if echo.close() != 0 and not problems:
            problems = [("delta-echo failed", "")]
        failed = failed or bool(problems)
        print("%s %d - %s: %s" % ("not ok" if problems else "ok", i, family,
                                  ", ".join("%s %d" % x for x in sorted(seen.items()))))
        for problem, case in problems[:20]:
            print("# %s" % ascii(problem)[:700])
            print("#   %s" % ascii(case)[:1500])
        if problems:
            print("# %d cases differ" % len(problems))
    return 1 if failed else 0


sys.exit(main())
