#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random values, pickled by Python with every protocol: the canonical dump of what the C reader builds must be that
of the value, and Python must load what the C writer makes of it to the same value, types, order and sharing included.
Then the same for damaged pickles: what the scanner lets pass, Python must load as well, to the same value."""
import os
import pickle
import random
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from canonical import dump, sharing

SEED = int(os.environ.get("SCENEKEEP_SEED") or random.SystemRandom().randrange(2**32))
ROUNDS = int(os.environ.get("SCENEKEEP_ROUNDS") or 200)
rng = random.Random(SEED)


def number():
    return rng.choice([
        lambda: rng.randrange(-3, 300),
        lambda: rng.choice([2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**53, 2**63, 2**64, 2**2040, 2**2048])
        * rng.choice([1, -1]) + rng.randrange(-2, 3),
        lambda: rng.getrandbits(rng.randrange(1, 600)) * rng.choice([1, -1]),
        lambda: rng.uniform(-1e3, 1e3),
        lambda: rng.choice([0.0, -0.0, 1.0, 2.0**53, 1e300, float(2**70), float("inf"), float("-inf"), 5e-324]),
        lambda: struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0],
    ])()


def text():
    alphabet = rng.choice(["abcdefgh", "a\n\\'\"\x00\x1a\r\x7f", "äßÿ\u0100", "日本\U0001f600\ud800\udfff\uffff"])
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 3, 3, 10, 10, 64, 65, 255, 256] + [5000] * (rng.random() < 0.02))))


def atom():
    return rng.choice([lambda: None, lambda: rng.random() < 0.5, number, number, text,
                       lambda: rng.randbytes(rng.choice([0, 1, 3, 20, 255, 256] + [5000] * (rng.random() < 0.02)))])()


def key(depth=0):
    kind = rng.randrange(10)
    if depth < 3 and kind == 0:
        return tuple(key(depth + 1) for _ in range(rng.randrange(4)))
    if depth < 3 and kind == 1:
        return frozenset(key(depth + 1) for _ in range(rng.randrange(4)))
    while True:
        k = atom()
        if k == k:
            return k


def value(depth, pool):
    if depth <= 0 or rng.random() < 0.3:
        return atom()
    if pool and rng.random() < 0.15:
        return rng.choice(pool)
    n = rng.choice([0, 1, 2, 3, 4, 5, 9, 20])
    kind = rng.randrange(12)
    if kind < 3:
        v = [value(depth - 1, pool) for _ in range(n)]
    elif kind < 7:
        v = {key(): value(depth - 1, pool) for _ in range(n)}
    elif kind < 9:
        v = tuple(value(depth - 1, pool) for _ in range(n))
    elif kind == 9:
        v = {key() for _ in range(n)}
    elif kind == 10:
        v = frozenset(key() for _ in range(n))
    else:
        v = bytearray(rng.getrandbits(8) for _ in range(n))
    pool.append(v)
    return v


class Echo:
    def __init__(self):
        program = os.path.join(os.environ.get("top_builddir", "."), "tests/unit/pickle-echo")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, profile, data):
        self.process.stdin.write(profile + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        error = self.process.stdout.read(1)
        if not error:
            raise EOFError("pickle-echo died")
        blobs = []
        for _ in range(3):
            size, = struct.unpack("<I", self.process.stdout.read(4))
            blobs.append(self.process.stdout.read(size))
        return error[0], blobs[0].decode(), blobs[1].decode(), blobs[2]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def check_genuine(echo, protocol):
    for _ in range(ROUNDS):
        data = pickle.dumps(value(rng.randrange(5), []), protocol)
        v = pickle.loads(data)
        error, canonical, ordered, written = echo.ask(b"p", data)
        if error != 0:
            return "refused with error %d: %r" % (error, v)
        if canonical != dump(v) or ordered != dump(v, True):
            return "read as %s, is %s" % (ordered[:300], dump(v, True)[:300])
        again = pickle.loads(written)
        if dump(again, True) != dump(v, True) or sharing(again) != sharing(v):
            return "written as %r" % again
        if echo.ask(b"d", written)[0] != 0:
            return "the written pickle is refused"
    return None


def check_damaged(echo, protocol):
    n_passed = 0
    for _ in range(ROUNDS * 10):
        data = bytearray(pickle.dumps(value(rng.randrange(3), []), protocol))
        for _ in range(rng.randrange(1, 4)):
            i = rng.randrange(len(data))
            what = rng.randrange(3)
            if what == 0:
                data[i] = rng.choice(b"(.012IJKLMNFGVXBCSTU]ael)\x85\x86\x87t}sud\x8f\x90\x91ghjpqr\x94\x00\xff")
            elif what == 1:
                del data[i]
            else:
                data.insert(i, rng.getrandbits(8))
            if not data:
                break
        error, canonical, _, _ = echo.ask(b"d", bytes(data))
        if error != 0:
            continue
        n_passed += 1
        try:
            v = pickle.loads(bytes(data))
            expected = dump(v)
        except Exception as e:
            return "passed, but Python raises %r: %s" % (e, bytes(data).hex())
        if canonical != expected:
            return "read as %s, Python has %s: %s" % (canonical[:300], expected[:300], bytes(data).hex())
    return None if n_passed > 0 else "no damaged pickle passed: the test tests nothing"


def main():
    checks = [("genuine", check_genuine), ("damaged", check_damaged)]
    print("1..%d" % (6 * len(checks)))
    print("# SCENEKEEP_SEED=%d" % SEED)
    number_of_test, failed = 0, False
    for name, check in checks:
        for protocol in range(6):
            number_of_test += 1
            echo = Echo()
            try:
                problem = check(echo, protocol)
            except EOFError as e:
                problem = str(e)
            if echo.close() != 0 and not problem:
                problem = "pickle-echo failed"
            failed = failed or bool(problem)
            print("%s %d - %s pickles of protocol %d" % ("not ok" if problem else "ok", number_of_test, name, protocol))
            if problem:
                print("# " + problem.encode("ascii", "backslashreplace").decode()[:600].replace("\n", " "))
    return 1 if failed else 0


sys.exit(main())
