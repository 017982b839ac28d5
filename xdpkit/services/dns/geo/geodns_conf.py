"""``geodns.conf`` of GeoDNS, as configuration of ours.

It is an INI file as git has them: sections, ``key = value``, comments after ; or #.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from xdpkit.config.toml_document import nearest, quoted
from xdpkit.errors import ConfigError, ConfigErrors
from xdpkit.regular_file import read_regular
from xdpkit.services.dns.geo.location_db import database_files

# As our own configuration.
_BYTES_MAX = 1 << 20

_SECTION = re.compile(r'\[\s*(?P<name>[\w.-]+)(?:\s+"(?:[^"\\]|\\.)*")?\s*\]\s*(?:[;#].*)?')
_KEY = re.compile(r"(?P<name>[A-Za-z][\w-]*)\s*(?P<equals>=?)\s*")
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|([^"\\;#]+)|\\(.)|(["\\])')
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class _Value(NamedTuple):
    """A value, and where its key is."""

    text: str
    line: int
    column: int


Values = Mapping[tuple[str, str], _Value]

# Every key that GeoDNS knows, and what there is in its place; empty: it becomes a key of ours.
_NO_LOG = "there is no query log yet"
_NO_LOGIN = "metrics need no login: [metrics] listens where you say, by default on this host only"
_NO_SERVICE = "states come from status files alone"
_KNOWN = {
    ("dns", "publicdebugqueries"): "",
    ("dns", "detailedmetrics"): "metrics do not name single names",
    ("geoip", "directory"): "",
    ("http", "user"): _NO_LOGIN,
    ("http", "password"): _NO_LOGIN,
    ("querylog", "path"): _NO_LOG,
    ("querylog", "maxsize"): _NO_LOG,
    ("querylog", "keep"): _NO_LOG,
    ("avrolog", "path"): _NO_LOG,
    ("avrolog", "maxsize"): _NO_LOG,
    ("avrolog", "maxtime"): _NO_LOG,
    ("health", "directory"): "",
    ("nodeping", "token"): _NO_SERVICE,
    ("pingdom", "username"): _NO_SERVICE,
    ("pingdom", "password"): _NO_SERVICE,
    ("pingdom", "accountemail"): _NO_SERVICE,
    ("pingdom", "appkey"): _NO_SERVICE,
    ("pingdom", "statemap"): _NO_SERVICE,
}
_SECTIONS = tuple(dict.fromkeys(section for section, _ in _KNOWN))


# Where GeoDNS looks without [geoip] directory (FindDB() in targeting/geoip2), in this order.
DIRECTORIES = (
    Path("/usr/share/GeoIP/"),
    Path("/usr/share/local/GeoIP/"),
    Path("/usr/local/share/GeoIP/"),
    Path("/opt/local/share/GeoIP/"),
)


def import_geodns_conf(path: Path, directories: Sequence[Path] = DIRECTORIES) -> str:
    """The TOML text for a ``geodns.conf``, with a comment for what has no counterpart.

    Where it names no directory of databases, that is the first of ``directories`` that has some.
    Raises ConfigError with everything that is wrong with it, each with line and column.
    """
    values, found = _parse(path, _read(path))
    debug = _flag(path, values.get(("dns", "publicdebugqueries")), found)
    if found:
        raise found[0] if len(found) == 1 else ConfigErrors(found)
    lines = [
        f"# Made of {path} by xdpkit check --import.",
        "# GeoDNS has addresses, port and the directory of its zones on its command line: change",
        "# them here if they are not as below.",
        "[interface]",
        'name = "eth0"            # the interface that has the addresses of -interface',
        "queues = [0]             # its RX queues to take",
        "",
        "[dns]",
        f"zones = {_toml(str(path.absolute().parent))}",
        "port = 53                # -port",
        *(_setting("geoip", values.get(("geoip", "directory"))) or [_databases(directories)]),
        "",
        "[dns.geo]",
        *_setting("health", values.get(("health", "directory"))),
        *([f"public_debug = {'true' if debug else 'false'}"] if debug is not None else []),
        "",
        "[metrics]                # http://127.0.0.1:8053/metrics: -http",
        'listen = "127.0.0.1:8053"',
        "geodns_names = true",
    ]
    dropped = [
        f"# [{section}] {key} (line {value.line}): {_KNOWN[section, key]}"
        for (section, key), value in values.items()
        if _KNOWN[section, key]
    ]
    return "\n".join([*lines, *(["", "# Without a counterpart:"] if dropped else []), *dropped, ""])


def _setting(key: str, value: _Value | None) -> list[str]:
    """The line of a path, as GeoDNS has it."""
    if value is None or not value.text:
        return []
    relative = "" if value.text.startswith("/") else "   # GeoDNS: from where it was started"
    return [f"{key} = {_toml(value.text)}{relative}"]


def _databases(directories: Sequence[Path]) -> str:
    """The line of the databases that GeoDNS finds by itself."""
    for directory in directories:
        try:
            database_files(directory)
        except (ConfigError, OSError):
            continue
        return f"geoip = {_toml(str(directory))}   # where GeoDNS finds them"
    names = ", ".join(map(str, directories))
    return f'# geoip = "DIRECTORY"   # none are in {names}, where GeoDNS looks'


def _toml(text: str) -> str:
    # A basic string of TOML is one of JSON, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(path: Path) -> list[str]:
    try:
        data = read_regular(path, _BYTES_MAX).data
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, "not UTF-8: save the file as UTF-8", line) from None


def _parse(path: Path, lines: list[str]) -> tuple[dict[tuple[str, str], _Value], list[ConfigError]]:
    """The values by section and key, both in lower case; and what is wrong."""
    values: dict[tuple[str, str], _Value] = {}
    found: list[ConfigError] = []
    section: str | None = ""
    """Empty above the first header; None below one that was reported."""
    for number, whole in enumerate(lines, 1):
        line = whole.strip()
        column = len(whole) - len(whole.lstrip()) + 1

        def wrong(reason: str, number: int = number, column: int = column) -> None:
            found.append(ConfigError(path, reason, number, column))

        if not line or line[0] in ";#":
            continue
        if line.startswith("["):
            header = _SECTION.fullmatch(line)
            section = header["name"].lower() if header else None
            if header is None:
                wrong(f"{quoted(line)} is not a section: write [NAME]")
            elif section not in _SECTIONS:
                wrong(f"unknown section [{header['name']}]: {nearest(section or '', _SECTIONS)}")
                section = None
            continue
        _entry(line, section, values, wrong, _Value("", number, column))
    return values, found


def _entry(
    line: str,
    section: str | None,
    values: dict[tuple[str, str], _Value],
    wrong: Callable[[str], None],
    at: _Value,
) -> None:
    """Takes one ``key = value``."""
    entry = _KEY.match(line)
    if entry is None or (not entry["equals"] and line[entry.end() :][:1] not in ("", ";", "#")):
        wrong(f"{quoted(line)} is not a setting: write KEY = VALUE, or ; before a comment")
        return
    key = entry["name"].lower()
    known = [name for each, name in _KNOWN if each == section]
    if section is None:
        return
    if not section:
        wrong(f"{quoted(key)} is in no section: write [NAME] above it")
    elif key not in known:
        wrong(f"unknown key {quoted(key)} in [{section}]: {nearest(key, known)}")
    else:
        text = _value(line[entry.end() :]) if entry["equals"] else "true"
        if text is None:
            wrong(f'{key}: a quote (") that is not closed, or a lone backslash: write \\\\ for one')
        else:
            values[section, key] = at._replace(text=text)


def _value(text: str) -> str | None:
    """A value without its quotes and the comment behind it; None if it is malformed."""
    made, at = "", 0
    while at < len(text) and text[at] not in ";#":
        piece = _PIECE.match(text, at)
        if piece is None or piece[4]:
            return None
        at = piece.end()
        if piece[1] is not None:
            made += re.sub(r"\\(.)", lambda each: _ESCAPES.get(each[1], each[1]), piece[1])
        elif piece[2] is not None:
            # Blanks count between other characters only.
            end = at >= len(text) or text[at] in ";#"
            made += piece[2].rstrip() if end else piece[2]
        else:
            made += _ESCAPES.get(piece[3], piece[3])
    return made


def _flag(path: Path, value: _Value | None, found: list[ConfigError]) -> bool | None:
    if value is None:
        return None
    word = value.text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    choices: Collection[str] = (*_TRUE, *_FALSE)
    reason = f"publicdebugqueries: {quoted(value.text)} is no boolean: write {' or '.join(choices)}"
    found.append(ConfigError(path, reason, value.line, value.column))
    return None
