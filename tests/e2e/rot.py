# SPDX-License-Identifier: GPL-3.0-or-later
"""Damages a stopped session's folder as disks do."""

import os


def files(data_dir, folder):
    path = os.path.join(data_dir, folder)
    return sorted(os.path.join(path, n) for n in os.listdir(path))


def flip(path, offset):
    with open(path, "r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte[0] ^ 0xff]))


def content(data_dir, needle):
    """Changes the first byte of every place in the log that holds these bytes. Returns how many there were."""
    n = 0
    for path in files(data_dir, "log"):
        with open(path, "rb") as stream:
            data = stream.read()
        at = data.find(needle)
        while at >= 0:
            flip(path, at)
            n += 1
            at = data.find(needle, at + 1)
    return n
