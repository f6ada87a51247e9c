#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Message ids, the catalog that explains them, and the manual that lists them."""
import re

import tap

EVENTS = dict(re.findall(r'#define EVENT_(\w+) "(\w+)"', tap.read("src/daemon/event-id.h")))
CATALOG = tap.read("units/scenekeep.catalog")
ENTRIES = dict(re.findall(r"^-- (\w{32})\n(.*?)(?=^-- |\Z)", CATALOG, re.S | re.M))


def well_formed():
    """message ids are 128-bit version 4 UUIDs, each once"""
    if len(set(EVENTS.values())) != len(EVENTS):
        yield "an id is used twice"
    for name, value in EVENTS.items():
        if not re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", value):
            yield f"EVENT_{name}: {value}"


def every_id_has_an_entry():
    """every message id has a catalog entry and the other way round"""
    for name, value in EVENTS.items():
        if value not in ENTRIES:
            yield f"EVENT_{name} ({value}) has no entry in units/scenekeep.catalog"
    for value in ENTRIES:
        if value not in EVENTS.values():
            yield f"the catalog's {value} is no message id"


def entries_explain():
    """every catalog entry has a subject and says what to make of it"""
    for value, text in ENTRIES.items():
        header, _, body = text.partition("\n\n")
        if not re.search(r"^Subject: .+$", header, re.M) or "Documentation: man:scenekeepd(8)" not in header:
            yield f"{value}: no Subject: or Documentation:"
        if len(body.split()) < 8:
            yield f"{value}: explains nothing"


def fields_are_documented():
    """every field of a message is in scenekeepd(8)"""
    manual = tap.read("src/man/scenekeepd.8")
    used = set()
    for path in tap.source_files(".c"):
        if path.startswith("src/daemon/"):
            used |= set(re.findall(r'LOG_(?:TEXT|NUMBER)\("(\w+)"', tap.read(path)))
    used |= set(re.findall(r"@SCENEKEEP_(\w+)@", CATALOG))
    for field in sorted(used):
        if f"SCENEKEEP_{field}" not in manual:
            yield f"SCENEKEEP_{field}= is not explained in src/man/scenekeepd.8"


def comments():
    """Name of each event -> the fields that its comment names."""
    text = tap.read("src/daemon/event-id.h")
    return {name: set(re.findall(r"SCENEKEEP_(\w+)=", comment))
            for comment, name in re.findall(r"/\*((?:(?!\*/).)*)\*/\n#define EVENT_(\w+) ", text, re.S)}


def entries_have_their_fields():
    """what a catalog entry names is a field of the message, by its comment and by the calls"""
    told = comments()
    wanted = {name: set(re.findall(r"@SCENEKEEP_(\w+)@", ENTRIES.get(value, ""))) - {"INSTANCE"}
              for name, value in EVENTS.items()}
    for name, fields in wanted.items():
        for field in fields - told[name]:
            yield f"the catalog names SCENEKEEP_{field}=, which EVENT_{name} does not have"
    for path in tap.source_files(".c"):
        for name, fields in re.findall(r'log_event\([^;"]*?\bEVENT_(\w+),(.*?);', tap.read(path), re.S):
            for field in wanted[name] - set(re.findall(r'LOG_(?:TEXT|NUMBER)\("(\w+)"', fields)):
                yield f"{path}: a message of EVENT_{name} lacks SCENEKEEP_{field}="


def every_id_is_used():
    """every message id is logged somewhere"""
    code = "".join(tap.read(p) for p in tap.source_files(".c") if p.startswith("src/"))
    for name in EVENTS:
        if not re.search(rf"\bEVENT_{name}\b", code):
            yield f"EVENT_{name} is never logged"


tap.run(well_formed, every_id_has_an_entry, entries_explain, fields_are_documented, entries_have_their_fields, every_id_is_used)
