# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs scenekeepctl as a person or a script would."""

import json
import os
import subprocess

OK, FAILED, USAGE, NOT_FOUND, NOT_RUNNING, DEGRADED, REFUSED = range(7)


def program():
    path = os.environ.get("SCENEKEEPCTL") or os.path.join(os.environ["top_builddir"], "scenekeepctl")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there or cannot be executed: build it with `make` first")
    return os.path.abspath(path)


class Answer:
    def __init__(self, process):
        self.status = process.returncode
        self.text = process.stdout.decode("utf-8", "surrogateescape")
        self.error = process.stderr.decode("utf-8", "surrogateescape")

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def flat(self):
        """The text with its lines joined: where they break depends on what is in them."""
        return " ".join(self.text.split())

    @property
    def sentence(self):
        """What went wrong, however it was broken into lines."""
        return " ".join(self.error.split())

    def __repr__(self):
        return f"exit status {self.status}\n{self.text}\n{self.error}"


def run(*arguments, timeout=60, environment=None, stdin=None):
    """Never with a terminal, in the time zone of Berlin."""
    process = subprocess.run([program(), *map(str, arguments)], stdin=subprocess.DEVNULL if stdin is None else None,
                             input=stdin, capture_output=True, timeout=timeout, check=False,
                             env={**os.environ, "TZ": "Europe/Berlin", "LC_ALL": "C.UTF-8", **(environment or {})})
    answer = Answer(process)
    assert "Sanitizer" not in answer.error and "runtime error" not in answer.error, answer
    return answer


def too_wide(text):
    """Lines that do not fit a terminal, though they could be broken."""
    return [line for line in text.splitlines() if len(line) > 80 and " " in line.strip()]


def is_one_sentence(error):
    """Whatever its lines: the program is named once, at its beginning."""
    return error.startswith("scenekeepctl:") and error.count("scenekeepctl:") == 1 and not too_wide(error)


def good(*arguments, **options):
    """The answer of a call that must succeed, and whose lines must fit a terminal."""
    answer = run(*arguments, **options)
    assert answer.status == OK and not answer.error, answer
    if "--json" not in arguments:
        wide = [line for line in answer.text.splitlines() if len(line) > 80]
        assert not wide, wide
    return answer


def refused(status, words, *arguments, **options):
    """A call that must fail: with this status, one sentence on stderr with these words, and the same as JSON."""
    answer = run(*arguments, **options)
    assert answer.status == status, answer
    said = answer.sentence
    assert is_one_sentence(answer.error) and words in said, answer
    if "--json" in arguments:
        assert words in answer.json["error"]["message"], answer
        assert said == "scenekeepctl: " + " ".join(answer.json["error"]["message"].split()), answer
    else:
        assert not answer.text, answer
    return answer
