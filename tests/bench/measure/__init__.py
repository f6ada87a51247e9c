# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of a session server beside a raw forwarder; `rows` has one module for each line of the promise."""
