"""Text of others is escaped, and other text is not."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.errors import ConfigError, ConfigErrors, XdpkitError
from xdpkit.escape import escape, escape_all
from xdpkit.runtime.logs import OneLine


@pytest.mark.parametrize(
    "text, shown",
    [
        ("", ""),
        ("zone example, 3 names", "zone example, 3 names"),
        ("žóna пример 例え.テスト", "žóna пример 例え.テスト"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\u200b\x85", r"\u2028\u200b\x85"),
        (b"\xff\x80".decode(errors="surrogateescape"), r"\xff\x80"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("C:\\n", "C:\\n"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_whatever_is_escaped_can_be_shown(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable() and shown.encode() is not None
    assert escape(shown) == shown


def test_documents() -> None:
    nasty = {"\x1b": ["\n", {"a": "\u202e"}, 1, None, True]}
    assert escape_all(nasty) == {r"\x1b": [r"\n", {"a": r"\u202e"}, 1, None, True]}


def test_errors_are_one_line_each() -> None:
    assert XdpkitError("a\x1b[0m\nb").lines() == [r"a\x1b[0m b"]
    several = ConfigErrors([ConfigError("f\n", "x\x07", 1), ConfigError("f\n", "y", 2)])
    assert several.lines() == [r"f :1: x\x07", r"f :2: y"]


def test_a_log_record_is_one_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine("xdpkit: %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("%s: no\nxdpkit: stopped", "\x1b[2J")
    assert stream.getvalue() == "xdpkit: \\x1b[2J: no\\nxdpkit: stopped\n"
