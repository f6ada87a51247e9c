#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything at once, for half a minute; tests/e2e/soak does it for as long as one likes, and on slow lines as well, on
which what a server sent before it was restarted may arrive after a Delete by the next one."""

import sys

import tap  # first: it says which packages are missing

from soaking import Soak


def test_half_a_minute_of_everything(fleet, rng):
    soak = Soak(fleet, rng, 30, lines=("near", "distant", "flaky"))
    try:
        soak.run()
    finally:
        soak.close()


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
