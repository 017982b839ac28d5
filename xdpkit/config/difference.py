"""What a reload has to do: how a configuration that was read again differs from the one in use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xdpkit.config.load import SECTIONS, Config
from xdpkit.config.schema import settings


@dataclass(frozen=True)
class Difference:
    """The keys that differ, as ``dns.nsid`` or ``ntp.limit.burst``; no key is in both.

    ``changed`` are those that a reload applies, compared with the configuration in use;
    ``needs_restart`` the others, compared with the one that the process started with, so that a
    key is named until the process is restarted or the key put back.
    """

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


@dataclass
class _Keys:
    changed: list[str] = field(default_factory=list)
    needs_restart: list[str] = field(default_factory=list)


def difference(started: Config, now: Config, fresh: Config) -> Difference:
    """How ``fresh`` differs from ``now``, which is in use, and ``started``, from the start.

    A service or [metrics] that is put in or taken out is one key, its table, and needs a restart.
    """
    keys = _Keys()
    for name, kind in SECTIONS.items():
        first, used, new = (getattr(config, name) for config in (started, now, fresh))
        if (first is None) != (new is None):
            keys.needs_restart.append(name)
        elif new is not None:
            _compare(kind, name, first, used or first, new, keys)
    return Difference(tuple(keys.changed), tuple(keys.needs_restart))


def _compare(kind: type, name: str, first: Any, used: Any, new: Any, keys: _Keys) -> None:
    for key, setting in settings(kind).items():
        path = f"{name}.{key}"
        before, current, wanted = (getattr(each, key) for each in (first, used, new))
        if setting.table is not None:
            _compare_table(setting.table, path, before, current, wanted, keys)
        elif setting.restart:
            keys.needs_restart += [path] * (wanted != before)
        else:
            keys.changed += [path] * (wanted != current)


def _compare_table(kind: type, path: str, first: Any, used: Any, new: Any, keys: _Keys) -> None:
    """A table within a table: one that is put in or taken out is applied.

    What its threads got at the start has the size of a table with defaults, if there was none.
    """
    if (used is None) != (new is None):
        keys.changed.append(path)
    if new is not None:
        _compare(kind, path, first or kind(), used or new, new, keys)
