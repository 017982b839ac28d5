"""NTP symmetric keys, read from a key file in chrony's format (chrony.conf(5), "keyfile").

    # a comment: the line starts with one of ! ; # %
    10 tulips-in-may
    20 SHA256 ASCII:a-secret-without-blanks
    30 AES128 HEX:7EA62AE64D190114D46D5A082F948EC1

A line is ``ID [TYPE] SECRET``; the default type is MD5. Lines that chronyd would skip with a log
message (an unknown type, a malformed HEX:, a duplicate ID) are errors here, so that no key goes
missing unnoticed. Messages never quote anything from the file but the ID and a known type.
"""

from __future__ import annotations

import re
import stat
from binascii import unhexlify
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from xdpkit._core._keys import ALGORITHMS, offered_algorithms
from xdpkit.errors import ERRORS_MAX, ConfigError, ConfigErrors, shortened
from xdpkit.regular_file import Content, read_regular

DEFAULT_TYPE = "MD5"
"""The type of a line without one, as in chrony."""

CHRONY_ONLY_TYPES = ("SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "TIGER", "WHIRLPOOL")
"""Types that chrony supports and we do not."""

AES_BYTES = {"AES128": 16, "AES256": 32}
"""Key length of each cipher."""

SECURE_BYTES = 10
"""chronyd warns about secrets below 80 bits as too short, and still uses them."""

_COMMENT = b"!;#%"
_WORD = re.compile(rb"\S+")
_LAST_ID = (1 << 32) - 1
# chronyd reads lines into 2048 bytes and would treat the rest of a longer one as another line.
_LONGEST_LINE = 2047
# Enough for a million keys; keeps a wrong path such as /dev/zero from filling memory.
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Key:
    """One key: its ID, its algorithm (a name of ``_keys.ALGORITHMS``) and its secret."""

    id: int
    algorithm: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyFile:
    """A key file's keys in file order, and warnings for the operator, one line each."""

    path: Path
    keys: tuple[Key, ...]
    warnings: tuple[str, ...]


def read_keys(path: Path) -> KeyFile:
    """Reads and checks a key file. Raises as its two steps do."""
    return parse_keys(path, read_key_file(path))


def read_key_file(path: Path) -> Content:
    """A key file as it is. Raises ConfigError."""
    try:
        return read_regular(path, _LARGEST, secret=True)
    except FileNotFoundError as error:
        reason = "no such key file: create it, or name another in the configuration"
        raise ConfigError(path, reason) from error
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from error


def parse_keys(path: Path, content: Content) -> KeyFile:
    """Checks a key file that was read; one without keys is valid.

    Raises ConfigError with everything that is wrong: file:line:column, and the key's ID.
    """
    available = offered_algorithms()
    keys: list[Key] = []
    lines: dict[int, int] = {}
    wrong: list[ConfigError] = []
    for number, line in enumerate(content.data.split(b"\n"), 1):
        words = [Word(match[0], match.start() + 1) for match in _WORD.finditer(line)]
        try:
            key = _parse(line, words, available)
            if key is None:
                continue
            if key.id in lines:
                reason = f"key {key.id} is on line {lines[key.id]} too: remove one of them"
                raise _BadWordError(reason, words[0])
        except _BadWordError as error:
            wrong.append(ConfigError(path, str(error), number, error.column))
            if len(wrong) == ERRORS_MAX:
                break
            continue
        lines[key.id] = number
        keys.append(key)
    if wrong:
        raise wrong[0] if len(wrong) == 1 else ConfigErrors(shortened(wrong))
    warnings = [*_open_to_others(path, content.status.st_mode), *_too_short(path, keys, lines)]
    return KeyFile(path, tuple(keys), tuple(warnings))


class Word(NamedTuple):
    """A word of a line, and the column at which it begins, from 1, in bytes."""

    text: bytes
    column: int


class _BadWordError(ValueError):
    """What is wrong with a word."""

    def __init__(self, reason: str, word: Word) -> None:
        super().__init__(reason)
        self.column = word.column


def _parse(line: bytes, words: list[Word], available: frozenset[str]) -> Key | None:
    """The key on a line; None for a comment or a blank line. Raises _BadWordError."""
    if not words or words[0].text[0] in _COMMENT:
        return None
    if len(line) > _LONGEST_LINE or b"\0" in line:
        reason = f"not a text line of at most {_LONGEST_LINE} bytes: is this a key file?"
        raise _BadWordError(reason, words[0])
    key_id = int(words[0].text) if words[0].text.isdigit() else 0
    if not 1 <= key_id <= _LAST_ID:
        reason = f"the line must start with the key's ID, a number in 1..{_LAST_ID}"
        raise _BadWordError(reason, words[0])
    name = f"key {key_id}"
    if len(words) == 1:
        reason = f"{name}: the secret is missing: write {key_id} [TYPE] SECRET"
        raise _BadWordError(reason, words[0])
    if len(words) > 3:
        raise _BadWordError(
            f"{name}: more than three words: write {key_id} [TYPE] SECRET, comments on their own "
            "line, a secret with blanks as HEX:",
            words[3],
        )
    # Never quoted in messages: after a stray blank it is part of the secret.
    second = words[1].text.decode("ascii", "replace")
    if len(words) == 2 and (second in ALGORITHMS or second in CHRONY_ONLY_TYPES):
        reason = f"{name}: a type, but no secret after it: write {key_id} {second} SECRET"
        raise _BadWordError(reason, words[1])
    kind = second if len(words) == 3 else DEFAULT_TYPE
    if reason := _type_fault(kind, available):
        raise _BadWordError(f"{name}: {reason}", words[1])
    return Key(key_id, kind, _decode(name, kind, words[-1]))


def _type_fault(kind: str, available: frozenset[str]) -> str:
    """Why a type cannot be used, or ""."""
    if kind in CHRONY_ONLY_TYPES:
        return f"{kind} is not supported: use one of {', '.join(ALGORITHMS)}"
    if kind not in ALGORITHMS:
        close = get_close_matches(kind.upper(), ALGORITHMS, n=1)
        fix = f"did you mean {close[0]}?" if close else f"valid: {', '.join(ALGORITHMS)}"
        return f"unknown type: {fix}"
    if kind not in available:
        others = ", ".join(other for other in ALGORITHMS if other in available) or "none"
        return f"this system's OpenSSL does not allow {kind}; it allows {others}"
    return ""


def _decode(name: str, kind: str, word: Word) -> bytes:
    """The secret that a word stands for. Raises _BadWordError."""
    if word.text.startswith(b"HEX:"):
        try:
            secret = unhexlify(word.text[4:])
        except ValueError:
            reason = f"{name}: HEX: must be followed by pairs of hex digits"
            raise _BadWordError(reason, word) from None
    else:
        secret = word.text.removeprefix(b"ASCII:")
    if not secret:
        raise _BadWordError(f"{name}: the secret is empty", word)
    wanted = AES_BYTES.get(kind, len(secret))
    if len(secret) != wanted:
        reason = (
            f"{name}: an {kind} secret has {wanted} bytes, but this one {len(secret)}: "
            f"write HEX: and {2 * wanted} digits"
        )
        raise _BadWordError(reason, word)
    return secret


def _open_to_others(path: Path, mode: int) -> list[str]:
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return []
    return [f"{path}: every user on this machine can read or change it: chmod o-rwx {path}"]


def _too_short(path: Path, keys: list[Key], lines: dict[int, int]) -> list[str]:
    short = [key for key in keys if len(key.secret) < SECURE_BYTES]
    if not short:
        return []
    first = short[0]
    more = f" and {len(short) - 1} more" if len(short) > 1 else ""
    return [
        f"{path}:{lines[first.id]}: key {first.id}{more}: a secret of fewer than {SECURE_BYTES} "
        "bytes can be guessed: use a longer one"
    ]
