#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages: xdpkit(8) from the command line's own help, xdpkit.toml(5) from the sample.

    PYTHONPATH=CHECKOUT manpages.py DIRECTORY

Each page has a single source: ``xdpkit/cli/parser.py``, and ``xdpkit.toml`` beside this file, whose
comments ``read_sample`` parses.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xdpkit import __version__
from xdpkit.cli import parser

SAMPLE = Path(__file__).with_name("xdpkit.toml")

NO_DEFAULT = "No default"
"""In the comment of a key whose value in the sample is an example, not the default."""

REQUIRED = "Required"
"""In the comment of a key that its table must have."""


@dataclass(frozen=True)
class Key:
    """A key of the sample: its value as TOML, its comment, and whether it is active there."""

    name: str
    value: str
    text: str
    active: bool


@dataclass
class Table:
    """A table of the sample; ``ntp.limit`` is the name of [ntp.limit]."""

    name: str
    text: list[str]
    active: bool
    keys: list[Key] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """The sample: the paragraphs of its heading, and its tables in order."""

    paragraphs: list[str]
    tables: list[Table]


_TABLE = re.compile(r"(#?)\[([a-z_.]+)\]")
_KEY = re.compile(r"(#?)([a-z0-9_]+) = (.+)")


def read_sample(text: str) -> Sample:
    """Parses the sample. Raises ValueError for a line that is none of its few kinds."""
    head, *rest = text.split("\n\n")
    paragraphs = [
        " ".join(line.lstrip("# ") for line in part.splitlines()) for part in head.split("\n#\n")
    ]
    tables: list[Table] = []
    comment: list[str] = []
    for line in "\n".join(rest).splitlines():
        if found := _TABLE.fullmatch(line):
            tables.append(Table(found[2], comment, active=not found[1]))
            comment = []
        elif found := _KEY.fullmatch(line):
            tables[-1].keys.append(Key(found[2], found[3], " ".join(comment), not found[1]))
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif line:
            raise ValueError(f"neither a comment, a table nor a key: {line}")
    return Sample(paragraphs, tables)


def escape(text: str) -> str:
    """Text that roff takes literally: no line of it is a request, and a hyphen is a minus."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def verbatim(text: str) -> list[str]:
    """Lines that keep their breaks and columns."""
    return [".RS 4", ".nf", escape(text), ".fi", ".RE"]


def head(name: str, section: int, summary: str) -> list[str]:
    """The title lines and the section NAME; the date is that of the source, not of the build."""
    day = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    date = time.strftime("%Y\\-%m\\-%d", day)
    title = f'.TH "{escape(name.upper())}" {section} "{date}" "xdpkit {__version__}"'
    return [title, ".nh", ".ad l", ".SH NAME", f"{escape(name)} \\- {escape(summary)}"]


# ------------------------------------------------------------------------------- xdpkit(8)


def command_page(summary: str) -> str:
    """xdpkit(8): what ``xdpkit --help`` and the help of every verb say."""
    root = parser.parser()
    verbs = subparsers(root)
    lines = [*head("xdpkit", 8, summary), ".SH SYNOPSIS"]
    lines += [".B xdpkit", escape(synopsis(root))]
    lines += [".SH DESCRIPTION", escape(root.description or "")]
    lines += [".SH OPTIONS", *options(root._actions, root), ".SH VERBS"]
    for verb in verbs.choices.values():
        lines += [f".SS {escape(verb.prog)} {escape(synopsis(verb))}"]
        # Options that the command itself has, --help and --debug, were described above.
        own = (action for action in verb._actions if not is_common(action, root))
        lines += [escape(verb.description or ""), *options(own, verb)]
        for title, body in blocks(verb.epilog or ""):
            lines += [".PP", f".B {escape(title)}", *verbatim(body)]
    for title, body in blocks(root.epilog or ""):
        lines += [f".SH {escape(title.upper())}", *verbatim(body)]
    lines += [".SH SEE ALSO", ".BR xdpkit.toml (5),", ".BR ethtool (8),", ".BR ip (8)"]
    return "\n".join(lines) + "\n"


def subparsers(root: argparse.ArgumentParser) -> argparse._SubParsersAction[parser.Parser]:
    """The action that holds the verbs."""
    found = [each for each in root._actions if isinstance(each, argparse._SubParsersAction)]
    return found[0]


def is_common(action: argparse.Action, root: argparse.ArgumentParser) -> bool:
    """Whether the command itself has this option of a verb, too."""
    return bool(set(action.option_strings) & set(root._option_string_actions))


def synopsis(parser: argparse.ArgumentParser) -> str:
    """The usage that argparse prints, on one line and without the program's name."""
    usage = parser.format_usage().removeprefix("usage: ").strip()
    return " ".join(usage.removeprefix(parser.prog).split())


def options(actions: Iterable[argparse.Action], parser: argparse.ArgumentParser) -> Iterator[str]:
    """An entry for each argument, as in the parser's help."""
    formatter = parser._get_formatter()
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        yield from (".TP", f".B {escape(formatter._format_action_invocation(action))}")
        yield escape(formatter._expand_help(action) if action.help else "")


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a help epilog: a title that ends with a colon, and the lines indented below it.

    Text without a title is left out: it tells where to find this page.
    """
    for part in re.split(r"\n\n(?=\S)", text.strip("\n")):
        title, _, body = part.partition("\n")
        if body and title.endswith(":"):
            yield title.removesuffix(":"), "\n".join(line[2:] for line in body.splitlines())


# ------------------------------------------------------------------------------- xdpkit.toml(5)


def configuration_page(sample: Sample) -> str:
    """xdpkit.toml(5): the comments of the sample, each beside its key."""
    summary, *paragraphs = sample.paragraphs
    lines = head("xdpkit.toml", 5, "configuration of xdpkit")
    lines += [".SH SYNOPSIS", f".I {escape(parser.DEFAULT_CONFIG)}", ".SH DESCRIPTION"]
    lines += [escape(summary), *paragraph_lines(paragraphs)]
    for table in sample.tables:
        lines += [f".SH [{escape(table.name)}]", escape(" ".join(table.text))]
        for key in table.keys:
            lines += [".TP", f".B {escape(key.name)}", escape(key.text), *value_lines(key)]
    lines += [".SH FILES", ".TP", f".I {escape(parser.DEFAULT_CONFIG)}"]
    lines += ["Every table and key, with the comments above.", ".SH SEE ALSO"]
    lines += [".BR xdpkit (8),", ".BR chrony.conf (5)"]
    return "\n".join(lines) + "\n"


def paragraph_lines(paragraphs: Iterable[str]) -> Iterator[str]:
    for text in paragraphs:
        yield from (".PP", escape(text))


def value_lines(key: Key) -> list[str]:
    """The default or the example of a key, to follow its text."""
    word = "Example" if NO_DEFAULT in key.text or REQUIRED in key.text else "Default"
    return [".br", f"{word}: {escape(key.value)}"]


def main(directory: Path) -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    (directory / "xdpkit.8").write_text(command_page(project["description"]))
    sample = read_sample(SAMPLE.read_text())
    (directory / "xdpkit.toml.5").write_text(configuration_page(sample))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
