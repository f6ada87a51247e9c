# SPDX-License-Identifier: GPL-3.0-or-later
"""Deltas as clients make and apply them, with whichever deepdiff is installed.

Clients in the field have deepdiff 8.1.1, which writes and understands opcode lists for flat lists; Debian 12 has
6.2.2, which does not, and which removes list items by index alone. What is missing is added here, so that the traffic
of real clients is applied as they apply it.
"""

import collections
import logging

import deepdiff.delta
import deepdiff.helper
from deepdiff import DeepDiff, Delta
from deepdiff.path import _path_to_elements

# Entries that do not fit are skipped with an error line; tests look at outcomes instead.
logging.getLogger("deepdiff").setLevel(logging.CRITICAL)

KNOWS_OPCODES = hasattr(deepdiff.helper, "Opcode")

if not KNOWS_OPCODES:
    Opcode = collections.namedtuple(
        "Opcode", "tag t1_from_index t1_to_index t2_from_index t2_to_index old_values new_values",
        defaults=(None, None))
    Opcode.__module__ = "deepdiff.helper"
    deepdiff.helper.Opcode = Opcode
Opcode = deepdiff.helper.Opcode


class _DeltaWithOpcodes(Delta):
    def _do_type_changes(self):
        super()._do_type_changes()
        for path, opcodes in self.diff.get("_iterable_opcodes", {}).items():
            target = self.root
            for element in _path_to_elements(path)[1:]:
                target = target[element[0]]
            items = []
            for opcode in opcodes:
                if opcode.tag in ("replace", "insert"):
                    items.extend(opcode.new_values)
                elif opcode.tag == "equal":
                    items.extend(target[opcode.t1_from_index:opcode.t1_to_index])
            if not isinstance(target, list):
                raise TypeError(f"opcodes for a {type(target).__name__} at {path}")
            target[:] = items

    def _do_item_removed(self, items):
        """A list item that has moved on since is looked for; 6.2.2 takes what stands at the index."""
        for path, want in sorted(items.items(), key=self._sort_key_for_item_added, reverse=True):
            details = self._get_elements_and_details(path)
            if not details:
                continue
            elements, parent, parent_element, parent_action, container, element, action = details
            if isinstance(container, list) and not (-len(container) <= element < len(container)
                                                    and container[element] == want):
                equal = [i for i, item in enumerate(container) if item == want]
                if not equal:
                    continue
                element = min(equal, key=lambda i: (abs(i - element), i))
            elif isinstance(container, (dict, tuple)) and element is None:
                continue
            self._del_elem(parent, parent_element, parent_action, container, elements, path, element, action)


def load_delta(payload):
    """Raises where a client's deepdiff would."""
    if KNOWS_OPCODES:
        return Delta(payload)
    return _DeltaWithOpcodes(payload, safe_to_import={"deepdiff.helper.Opcode"})


def make_delta(old, new, ignore_order=False):
    """The payload that turns old into new, or None when there is no difference. With ignore_order as the add-on
    compares scenes and collections."""
    options = {"ignore_order": True, "report_repetition": True} if ignore_order else {}
    delta = Delta(DeepDiff(old, new, cache_size=5000, **options))
    return delta.dumps() if delta.diff else None


def raw_delta(categories):
    """A delta payload with exactly these categories, for what DeepDiff of today would not write."""
    return Delta(categories).dumps()


def apply_delta(data, payload):
    return data + load_delta(payload)
