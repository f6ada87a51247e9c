#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house that a machine can check."""
import os
import re
import subprocess

import tap

LONGEST = 700
# What has no comment syntax, or belongs to somebody else.
WITHOUT_SPDX = re.compile(r"(^NEWS|\.md|\.json|\.bin|/(changelog|control|copyright|rules|watch|.*\.install)"
                          r"|^tests/(data|fuzz/corpus)/.*|^packaging/debian/.*)$")

EVERYWHERE = """strcpy strcat strncpy strncat sprintf vsprintf gets system popen alloca strtok rand srand random
                srandom atoi atol atoll atof usleep sleep nanosleep tmpnam tempnam mktemp signal setjmp longjmp""".split()
# Library rooms report through return values and take what they need as arguments.
LIBRARY = "printf puts putchar perror syslog vsyslog exit _exit getenv setenv sd_journal_print".split()


def strip_c(text):
    """Blanks comments, texts and characters, keeping the lines."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def include_direction():
    """a room includes only itself and rooms below it"""
    for path in tap.source_files(".c", ".h"):
        room = room_of(path)
        if room not in tap.ROOMS:
            continue
        for number, line in enumerate(tap.read(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            other = match.group(1).split("/")[0]
            if other not in tap.ROOMS:
                yield f"{path}:{number}: includes \"{match.group(1)}\"; write it as \"room/file.h\""
            elif tap.ROOMS.index(other) > tap.ROOMS.index(room):
                yield f"{path}:{number}: {room} must not know {other}"
            elif other == "base" and match.group(1) == "base/log.h" and room not in ("base", "daemon", "ctl"):
                yield f"{path}:{number}: only programs log; report through the return value"


def spdx():
    """every source file names its licence"""
    for path in tap.source_files():
        full = os.path.join(tap.TOP, path)
        if WITHOUT_SPDX.search(path) or os.path.getsize(full) == 0:
            continue
        with open(full, "rb") as f:
            head = f.read(400)
        if path.startswith("etc/") or b"\0" in head:
            continue
        if b"SPDX-License-Identifier: GPL-3.0-or-later" not in head:
            yield f"{path}: no line \"SPDX-License-Identifier: GPL-3.0-or-later\" at the top"


def forbidden_calls():
    """no call that is unsafe, blocks, or is not a library's to make"""
    everywhere = re.compile(r"(?<![\w.>])(" + "|".join(EVERYWHERE) + r")\s*\(")
    library = re.compile(r"(?<![\w.>])(" + "|".join(LIBRARY) + r")\s*\(")
    for path in tap.source_files(".c", ".h"):
        room = room_of(path)
        if room not in tap.ROOMS:
            continue
        is_library = room not in ("daemon", "ctl") and path != "src/base/log.c"
        for number, line in enumerate(strip_c(tap.read(path)).splitlines(), 1):
            match = everywhere.search(line) or (is_library and library.search(line))
            if match:
                yield f"{path}:{number}: {match.group(1)}() must not be used here"


def file_length():
    """no file is longer than 700 lines"""
    for path in tap.source_files(".c", ".h", ".py", ".sh"):
        lines = tap.read(path).count("\n")
        if lines > LONGEST:
            yield f"{path}: {lines} lines; which nouns live in it?"


def open_ends():
    """nothing is left open in the code"""
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|not implem" + r"ented)\b")
    for path in tap.source_files(".c", ".h", ".py", ".sh", ".am", ".ac", ".in"):
        for number, line in enumerate(tap.read(path).splitlines(), 1):
            if words.search(line):
                yield f"{path}:{number}: {line.strip()}"


def white_space():
    """no trailing blanks, tabs only in makefiles, a line break at the end"""
    for path in tap.source_files(".c", ".h", ".py", ".sh"):
        text = tap.read(path)
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or "\t" in line:
                yield f"{path}:{number}: blank at the end, or a tab"
        if text and not text.endswith("\n"):
            yield f"{path}: no line break at the end"


def programs():
    """what begins as a program can be run, and nothing else"""
    for path in tap.source_files():
        full = os.path.join(tap.TOP, path)
        with open(full, "rb") as f:
            is_program = f.read(2) == b"#!"
        made_so_later = path.endswith(".in") or path.startswith("packaging/debian/scenekeep.")
        if is_program != os.access(full, os.X_OK) and not made_so_later:
            yield f"{path}: {'is not executable' if is_program else 'is executable, and does not begin with #!'}"


def pragma_once():
    """every header can be included twice"""
    for path in tap.source_files(".h"):
        if path.startswith("src/") and "#pragma once\n" not in tap.read(path):
            yield f"{path}: no #pragma once"


def top_level():
    """the top level holds what belongs there and nothing else"""
    want = {"src", "units", "etc", "packaging", "tests", "configure.ac", "Makefile.am", "README.md", "bootstrap",
            "LICENSE", "NEWS"}
    try:
        listed = subprocess.run(["git", "-C", tap.TOP, "ls-files"], capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return  # not a clone; a tarball holds what `make dist` puts there
    top = {line.split("/")[0] for line in listed.splitlines()}
    if not top:
        return
    for name in sorted(want - top):
        yield f"{name} is missing"
    for name in sorted(top - want):
        if not name.startswith("."):
            yield f"{name} does not belong at the top level"


tap.run(include_direction, spdx, forbidden_calls, file_length, open_ends, white_space, programs, pragma_once, top_level)
