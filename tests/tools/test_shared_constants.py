"""A constant of the C code is not written again in Python: _core/_limits.pyx exports it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT

HINT = "export it from xdpkit/_core/_limits.pyx instead of writing it again"

SOURCES = [path for room in ("cext", "ebpf") for path in sorted((CHECKOUT / room).rglob("*.[ch]"))]
MODULES = sorted((CHECKOUT / "xdpkit").rglob("*.py"))

HEADER = re.compile(r"\b(?:cext|ebpf)/[a-z0-9_/]+\.[ch]\b")
MACRO = re.compile(r"^\s*#\s*define\s+([A-Z][A-Z0-9_]*)\s+(.+)$", re.M)
ENUM = re.compile(r"\benum(?:\s+\w+)?\s*\{([^}]*)\}")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
SUFFIX = re.compile(r"(?<=[0-9a-fA-F])[uUlL]+\b")

# Chosen in Python, the comment says what by; a unit; a protocol's.
OUR_OWN = {"HEARTBEAT_SECONDS", "_ANSWERS", "OLDEST_KERNEL", "SECOND_NS", "UNIX_EPOCH"}


def number_of(text: str, known: dict[str, int]) -> int | None:
    """The value of a constant expression of C; None if it is not a plain number."""
    for word in set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", text)):
        text = re.sub(rf"\b{word}\b", str(known.get(word, word)), text)
    text = SUFFIX.sub("", text)
    if re.search(r"[^\s0-9a-fA-FxX()<>|&+*/~-]", text):
        return None
    try:
        value = eval(text.replace("/", "//"), {"__builtins__": {}})
    except (SyntaxError, NameError, TypeError, ZeroDivisionError):
        return None
    return value if isinstance(value, int) else None


def enumerators(body: str, known: dict[str, int]) -> Iterator[tuple[str, int | None]]:
    following: int | None = 0
    for part in body.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            continue
        number = number_of(value, known) if equals else following
        following = None if number is None else number + 1
        yield name, number


def c_constants() -> dict[str, set[int]]:
    """Values of macros and enumerators by name, and by what follows the name of their room or file.

    Those with an RFC on their line are a protocol's: Python may have them from there, too.
    """
    known: dict[str, int] = {}
    found: dict[str, set[int]] = {}
    for path in SOURCES:
        if path.name == "wire.h":
            continue
        lines = [line for line in path.read_text().splitlines() if " RFC " not in line]
        text = COMMENT.sub("", "\n".join(lines))
        rooms = {name.upper() for name in (path.parent.name, path.stem)}
        pairs = [(name, number_of(value, known)) for name, value in MACRO.findall(text)]
        for body in ENUM.findall(text):
            pairs += enumerators(body, known)
        for name, number in pairs:
            if number is None:
                continue
            known[name] = number
            found.setdefault(name, set()).add(number)
            room, _, rest = name.partition("_")
            # A single word, such as VERSION, means other things elsewhere.
            if room in rooms and "_" in rest:
                found.setdefault(rest, set()).add(number)
    return found


def assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """Names, values and lines of the assignments of a module and its classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        elif isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        else:
            continue
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = value.elts if isinstance(value, ast.Tuple) else [value] * len(names)
            for name, each in zip(names, values, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, each, node.lineno


def is_written(value: ast.expr) -> bool:
    """Whether a number, or a tuple or dict of numbers, is written out."""
    return not any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(value)) and any(
        isinstance(node, ast.Constant) and type(node.value) in (int, float)
        for node in ast.walk(value)
    )


def comment_of(lines: list[str], line: int) -> str:
    """The comment on the assignment's line and the block of comments above it."""
    block = [lines[line - 1].partition("#")[2]]
    above = line - 2
    while above >= 0 and (text := lines[above].strip()) and text.startswith("#"):
        block.insert(0, text.lstrip("# "))
        above -= 1
    return " ".join(block)


def copies(text: str, constants: dict[str, set[int]]) -> list[str]:
    lines, found = text.splitlines(), []
    for name, value, line in assigned(ast.parse(text)):
        if not name.isupper() or name in OUR_OWN or not is_written(value):
            continue
        if source := HEADER.search(comment_of(lines, line)):
            found.append(f"line {line}: {name} is that of {source[0]}: {HINT}")
            continue
        try:
            number = eval(compile(ast.Expression(value), "", "eval"), {"__builtins__": {}})
        except TypeError:
            continue
        if type(number) is int and number in constants.get(name.lstrip("_"), ()):
            found.append(f"line {line}: {name} = {number} is a constant of the C code: {HINT}")
    return found


CONSTANTS = c_constants()


def test_the_constants_of_c_are_found() -> None:
    wanted = {"ZONE_SLOTS": 8, "PHC_RATE_MAX": 1 << 28, "RATE_MAX": 1 << 28, "STEER_QUEUES": 256}
    wanted |= {"ZONE_KIND_REFERRAL": 3, "HASH_FACTOR": 0xA0761D6478BD642F}
    for name, value in wanted.items():
        assert value in CONSTANTS[name]


@pytest.mark.parametrize(
    "text, copied",
    [
        ("# cext/dns/settings.h: DNS_NSID_MAX.\n_NSID = 128\n", True),
        ("# As in ebpf/steer.h,\n# the most.\nA, B = 1, 2\n", True),
        ("_ITERATIONS_MAX = 150\n", True),
        ("ZONE_SLOTS = 8\n", True),
        ("class A:\n    RATE_MAX: int = 1 << 28\n", True),
        ("ITERATIONS_MAX = 151\n", False),
        ("CNAME = 5\n", False),
        ("SLOTS = ZONE_SLOTS\n", False),
    ],
)
def test_what_is_a_copy(text: str, copied: bool) -> None:
    assert bool(copies(text, CONSTANTS)) is copied


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_constant_of_c_is_written_again(path: Path) -> None:
    assert copies(path.read_text(), CONSTANTS) == []
