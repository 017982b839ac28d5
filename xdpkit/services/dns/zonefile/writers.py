"""Who chose what is read: the names in a zone's directory, and the files that it includes.

xdpkit may read what they may not: other users' files, if it runs as root. So what is served, or
quoted in an error, must be readable by everybody who can write the zone, or replace it by a link.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xdpkit.reach import reach
from xdpkit.regular_file import UnfitFileError


@dataclass(frozen=True)
class Writer:
    """A user with their groups, the members of a group, or everybody; never root, nor ourselves."""

    name: str
    uid: int | None
    gids: frozenset[int]

    def may(self, found: os.stat_result, bits: int) -> bool:
        """Whether the mode allows them all of these (4: read, 1: pass)."""
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid == self.uid:
            mode >>= 6
        elif found.st_gid in self.gids:
            mode >>= 3
        return mode & bits == bits


def writers_of(path: Path, found: os.stat_result) -> frozenset[Writer]:
    """Who can write a file that was found at this absolute path, or put another in its place."""
    writers = set(_of_mode(found, False))
    for above in path.parents:
        try:
            # Where a directory is sticky, only its files' owners replace them: not what leads here.
            sticky = above != path.parent
            writers |= set(_of_mode(os.stat(reach(above)), sticky))  # noqa: PTH116
        except OSError:
            continue
    return frozenset(writers)


def check_readable(path: Path, found: os.stat_result, writers: frozenset[Writer]) -> None:
    """Raises UnfitFileError if one of these may not read the file that was found there."""
    real = Path(os.path.realpath(reach(path)))
    for writer in writers:
        closed = next((each for each in real.parents if not writer.may(_stat(each), 0o1)), None)
        if closed is None and writer.may(found, 0o4):
            continue
        fix = f"chmod o+r {path}" if closed is None else f"chmod o+x {closed}"
        raise UnfitFileError(
            path, f"{writer.name}, who can write the zone, may not read it: {fix}, or name another"
        )


def _stat(directory: Path) -> os.stat_result:
    return os.stat(reach(directory))  # noqa: PTH116


def _of_mode(found: os.stat_result, sticky: bool) -> list[Writer]:
    writers = []
    if found.st_uid not in (0, os.geteuid()):
        writers.append(_user(found.st_uid))
    if sticky and found.st_mode & stat.S_ISVTX:
        return writers
    if found.st_mode & stat.S_IWOTH:
        writers.append(Writer("everybody", None, frozenset()))
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid()):
        writers.append(Writer(f"group {found.st_gid}", None, frozenset((found.st_gid,))))
    return writers


@cache
def _user(uid: int) -> Writer:
    try:
        entry = pwd.getpwuid(uid)
        groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Writer(f"user {entry.pw_name}", uid, groups)
    except KeyError:
        return Writer(f"user {uid}", uid, frozenset())
