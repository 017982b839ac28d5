"""Where each key and value of a JSON text is: a second pass, for files that have an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

JsonPath = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

_TOKEN = re.compile(r'("(?:[^"\\]|\\.?)*+"?+|[{}\[\],:]|[^\s{}\[\],:"]++)', re.DOTALL)

# In this order: neither a comma in a string nor one in a comment is one, nor a # in a string.
_RELAXED = re.compile(
    r'"(?:[^"\\]|\\.?)*+"?+'
    r"|(?P<comment>#[^\n]*+)"
    r"|(?P<comma>,(?=(?:\s++|#[^\n]*+)*+[\]}]))",
    re.DOTALL,
)


class Place(NamedTuple):
    """A value, where its key begins (the value itself in an array), and where it begins."""

    path: JsonPath
    key: int
    value: int
    text: str
    """The value's first token."""


def places(text: str) -> Iterator[Place]:
    """Every value of a text, in its order.

    The text need not be JSON: what follows the first thing that is not is of no use, but ends.
    """
    path: list[str | int] = []
    objects: list[bool] = []
    key, key_next = 0, False
    for token in _TOKEN.finditer(text):
        word, at = token[1], token.start()
        if word in ("]", "}"):
            if objects:
                objects.pop()
                path.pop()
            key_next = False
        elif word == ",":
            key_next = bool(objects) and objects[-1]
            if objects and not key_next:
                path[-1] = int(path[-1]) + 1
        elif word == ":":
            key_next = False
        elif key_next:
            path[-1], key = _decoded(word), at
        else:
            in_object = bool(objects) and objects[-1]
            yield Place(tuple(path), key if in_object else at, at, word)
            if word in ("{", "["):
                objects.append(word == "{")
                path.append("" if objects[-1] else 0)
                key_next = objects[-1]


def relaxed(text: str) -> str:
    """The text with trailing commas and comments (# to the end of a line) blanked out.

    Every other character stays where it is.
    """
    return _RELAXED.sub(lambda found: " " * len(found[0]) if found.lastgroup else found[0], text)


def token_at(text: str, offset: int) -> str:
    """What is found at or after an offset; empty at the end."""
    found = _TOKEN.search(text, offset)
    return found[1] if found else ""


def _decoded(word: str) -> str:
    if "\\" not in word:
        return word.strip('"')
    try:
        return str(json.loads(word, strict=False))
    except ValueError:
        return word
