"""How the sections of the configuration are declared, and read by their declarations.

A section is a frozen dataclass; each field is a key of its table and says all there is to say of
it: which values it takes, the default, what it does, and whether a running server takes a change::

    @section("echo")
    class EchoConfig:
        port: int = service_port(default=7)
        spin_ns: int = integer(0, 10_000_000, default=0, doc="Nanoseconds to spin.")

``read`` checks a table, docs/configuration.md is written from the same declarations, and
``difference`` compares two configurations by them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar, cast, dataclass_transform

from xdpkit.config.toml_document import Table, close_match
from xdpkit.errors import ConfigError

T = TypeVar("T")

Reader = Callable[[Table, str], T]
"""Returns the checked value of a key that is in the table. Raises ConfigError."""

Check = Callable[..., None]
"""Checks keys against each other: called with the table and, by their names, the keys' values, if
all of them are fine. Raises ConfigError."""

_REQUIRED: Any = MISSING


@dataclass(frozen=True)
class Setting:
    """What a field declares; ``accepts`` and ``shown``, its default, are for the documentation."""

    accepts: str
    doc: str
    read: Reader[Any]
    shown: str = ""
    example: str = ""
    restart: bool = False
    table: type | None = None


def custom(
    read: Reader[T],
    *,
    accepts: str,
    doc: str,
    default: T = _REQUIRED,
    shown: str = "",
    example: str = "",
    restart: bool = False,
    secret: bool = False,
) -> T:
    """A key with a reader of its own.

    ``shown`` is the default as it is written in a file, where that is not plain; ``example`` is
    for the error when a required key is missing. A ``secret`` is left out of the repr.
    """
    shown = shown or ("" if default is MISSING else _written(default))
    setting = Setting(accepts, doc, read, shown, example, restart)
    return field(default=default, repr=not secret, metadata={"setting": setting})


def integer(low: int, high: int, *, default: int, doc: str, restart: bool = False) -> int:
    """An integer within inclusive bounds."""
    return custom(
        lambda table, key: table.integer(key, low, high),
        accepts=f"integer, {low} to {high}",
        doc=doc,
        default=default,
        restart=restart,
    )


def service_port(*, default: int, doc: str = "UDP port.") -> int:
    """The port of a service: its sockets and rules on the NIC are made at the start."""
    return integer(1, 65535, default=default, doc=doc, restart=True)


def flag(*, default: bool, doc: str, restart: bool = False) -> bool:
    """A boolean."""
    return custom(Table.flag, accepts="boolean", doc=doc, default=default, restart=restart)


def choice(words: Collection[str], *, default: str, doc: str, restart: bool = False) -> str:
    """One of these words."""
    return custom(
        lambda table, key: table.choice(key, words),
        accepts=", ".join(f'`"{word}"`' for word in words),
        doc=doc,
        default=default,
        restart=restart,
    )


def subtable(kind: type[T], *, default: None, doc: str) -> T | None:
    """A table within the table, which turns something on; None without it."""
    setting = Setting(accepts="table", doc=doc, read=_unread, shown="none", table=kind)
    return field(default=default, metadata={"setting": setting})


@dataclass_transform(
    frozen_default=True, field_specifiers=(custom, integer, service_port, flag, choice, subtable)
)
def section(name: str, *checks: Check) -> Callable[[type[T]], type[T]]:
    """Makes a class the frozen dataclass of the table ``name``, whose values pass ``checks``."""

    def decorate(kind: type[T]) -> type[T]:
        made = dataclass(frozen=True)(kind)
        setattr(made, "__section__", (name, checks))  # noqa: B010
        return made

    return decorate


def name_of(kind: type) -> str:
    """The name of a section's table, such as ``ntp.limit``."""
    return str(_declared(kind)[0])


def settings(kind: type) -> dict[str, Setting]:
    """The keys of a section, in the order in which they are declared."""
    return {each.name: each.metadata["setting"] for each in dataclasses.fields(kind)}


def read(kind: type[Any], table: Table, errors: list[ConfigError]) -> dict[str, Any]:
    """The values of a section by key, defaults included; those that are wrong are left out.

    What is wrong is appended to ``errors``: every key is read, whatever the others are.
    """
    keys = settings(kind)
    errors += (unknown := table.unknown(keys))
    meant = {close_match(key, keys) for key in table.values} if unknown else set()
    values: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        setting = keys[each.name]
        try:
            if each.name in table.values:
                values[each.name] = _read_value(setting, table, each.name, errors)
            elif each.default is not MISSING:
                values[each.name] = each.default
            elif each.name not in meant:
                table.require(each.name, setting.example)
        except ConfigError as error:
            errors.append(error)
    values = {key: value for key, value in values.items() if value is not MISSING}
    _check(kind, table, values, errors)
    return values


def _read_value(setting: Setting, table: Table, key: str, errors: list[ConfigError]) -> Any:
    """The value of a key that is there; MISSING for a table with errors."""
    if setting.table is None:
        return setting.read(table, key)
    before = len(errors)
    values = read(setting.table, table.subtable(key), errors)
    return MISSING if len(errors) > before else setting.table(**values)


def _check(kind: type, table: Table, values: Mapping[str, Any], errors: list[ConfigError]) -> None:
    for check in _declared(kind)[1]:
        _, *keys = inspect.signature(check).parameters
        if all(key in values for key in keys):
            try:
                check(table, **{key: values[key] for key in keys})
            except ConfigError as error:
                errors.append(error)


def _declared(kind: type) -> tuple[str, tuple[Check, ...]]:
    return cast("tuple[str, tuple[Check, ...]]", getattr(kind, "__section__"))  # noqa: B009


def _unread(table: Table, key: str) -> Any:
    raise AssertionError(f"{key} is read as a table")


def _written(value: object) -> str:
    """A default as it is written in a file; "none" for what no value stands for."""
    if value is None:
        return "none"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f'"{value.decode() if isinstance(value, bytes) else value}"'
