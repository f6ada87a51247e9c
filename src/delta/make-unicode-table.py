#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes unicode-table.h: what CPython 3.11 (Unicode 14) calls printable and decimal.

Run it with a CPython 3.11; the table must not follow newer versions of Unicode, because the clients' repr()
does not: they run the Python that Blender ships.
"""

import sys
import unicodedata

COLUMN_MAX = 108


def boundaries(predicate):
    """Code points at which the predicate changes its value, starting from false."""
    state = False
    for code in range(sys.maxunicode + 1):
        if predicate(chr(code)) != state:
            state = not state
            yield code


def digit_zeros():
    """First code points of the runs 0..9; every decimal digit belongs to such a run of ten."""
    digits = [c for c in range(sys.maxunicode + 1) if unicodedata.decimal(chr(c), None) is not None]
    zeros = [c for c in digits if unicodedata.decimal(chr(c)) == 0]
    runs = [z + i for z in zeros for i in range(10)]
    if runs != digits or any(unicodedata.decimal(chr(z + i)) != i for z in zeros for i in range(10)):
        raise SystemExit("decimal digits no longer come in runs of ten: the lookup must be rewritten")
    return zeros


def table(name, numbers):
    print(f"static const uint32_t {name}[] = {{")
    line = "       "
    for number in numbers:
        word = f" 0x{number:x},"
        if len(line) + len(word) > COLUMN_MAX:
            print(line)
            line = "       "
        line += word
    print(line)
    print("};")


def main():
    if unicodedata.unidata_version != "14.0.0":
        raise SystemExit(f"this Python has Unicode {unicodedata.unidata_version}, the clients have 14.0.0")
    print("/* SPDX-License-Identifier: GPL-3.0-or-later */")
    print("#pragma once")
    print()
    print("/* Made by make-unicode-table.py from the Unicode 14.0.0 tables of CPython 3.11; do not edit. */")
    print()
    print("#include <stdint.h>")
    print()
    print("/* Code points at which str.isprintable() changes, starting from not printable. */")
    table("printable_boundaries", boundaries(str.isprintable))
    print()
    print("/* First code points of all runs of ten decimal digits. */")
    table("decimal_zeros", digit_zeros())


main()
