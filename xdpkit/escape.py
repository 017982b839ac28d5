"""Text that others wrote, made safe to show: in errors, logs and on terminals."""

from __future__ import annotations

from typing import Any


def escape(text: str) -> str:
    r"""The text with everything that does not print written as ``\x1b``, ``\n`` or ``\u202e``.

    That is control characters, line ends of any kind, what changes the direction of text, and
    bytes that are not UTF-8: whoever names a file, or writes into one, must not be able to forge a
    line of a log, or to control a terminal. Letters of any script stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # What surrogateescape made of a byte that is not UTF-8 is shown as that byte.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]


def escape_all(document: Any) -> Any:
    """A document of JSON, with every text in it escaped."""
    if isinstance(document, str):
        return escape(document)
    if isinstance(document, dict):
        return {escape_all(key): escape_all(value) for key, value in document.items()}
    return [escape_all(each) for each in document] if isinstance(document, list) else document
