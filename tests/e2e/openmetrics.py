# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads OpenMetrics 1.0 text and refuses what the specification does."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum", "_created"),
            "info": ("_info",), "unknown": ("",)}


class Family:
    def __init__(self, name):
        self.name, self.kind, self.unit, self.help, self.samples = name, "unknown", None, None, {}


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match and match.group(1) not in labels, text
        labels[match.group(1)] = match.group(2).replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
        at = match.end()
    return labels


def _describe(family, word, value):
    assert not family.samples, f"{family.name}: {word} after its samples"
    if word == "TYPE":
        assert family.kind == "unknown" and value in SUFFIXES, (family.name, value)
        family.kind = value
    elif word == "UNIT":
        assert family.unit is None and family.name.endswith("_" + value), (family.name, value)
        family.unit = value
    else:
        assert family.help is None
        family.help = value


def _check_histogram(family):
    series = {}
    for (name, labels), value in family.samples.items():
        labels = dict(labels)
        bound = labels.pop("le", None)
        series.setdefault(tuple(sorted(labels.items())), {})[(name[len(family.name):], bound)] = value
    for values in series.values():
        buckets = [(float(bound.replace("+Inf", "inf")), n) for (suffix, bound), n in values.items() if suffix == "_bucket"]
        assert buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets), family.name
        assert buckets[-1] == (float("inf"), values["_count", None]) and ("_sum", None) in values, family.name


def parse(text):
    """{name: Family}; samples by (name, labels as a sorted tuple)."""
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    families, family = {}, None
    for line in text.splitlines()[:-1]:
        assert line and line == line.strip(), repr(line)
        if line.startswith("#"):
            word, name, value = re.match(rf"^# (TYPE|UNIT|HELP) ({NAME}) (.+)$", line).groups()
            if not family or family.name != name:
                assert name not in families, f"{name} is interleaved with others"
                family = families[name] = Family(name)
            _describe(family, word, value)
            continue
        name, labels, value = SAMPLE.match(line).groups()
        assert family and name in [family.name + s for s in SUFFIXES[family.kind]], (family and family.name, name)
        key = name, tuple(sorted(_labels(labels or "").items()))
        assert key not in family.samples, key
        family.samples[key] = float(value)
        if family.kind in ("counter", "histogram"):
            assert float(value) >= 0
    for family in families.values():
        assert family.help and family.kind != "unknown", family.name
        for other in families:
            assert other == family.name or other not in [family.name + s for s in SUFFIXES[family.kind] if s], other
        if family.kind == "histogram":
            _check_histogram(family)
    return families
