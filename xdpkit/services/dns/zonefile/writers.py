"""Who chose what is read: the names in a zone's directory, and the files that it includes.

xdpkit may read what they may not: other users' files, if it runs as root. So what is served, or
quoted in an error, must be readable by everybody who can write the zone, or replace it by a link.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from xdpkit._core._file_facts import signature
from xdpkit.reach import kept, reach
from xdpkit.regular_file import Content, UnfitFileError
from xdpkit.services.dns.zonefile.access import Access, access, access_by, access_of

# What the kernel follows (path_resolution(7)).
_MOST_LINKS = 40


@dataclass(frozen=True)
class Writer:
    """A user with their groups, the members of a group, or everybody; never root, nor ourselves."""

    name: str
    uid: int | None
    gids: frozenset[int]

    def may(self, found: Access, bits: int) -> bool:
        """Whether they have all of these rights (4: read, 1: pass)."""
        return found.allows(self.uid, self.gids, bits)


# Directories whose ways are known at most: zones and what they include are in a few.
_WAYS = 1024

_ways: dict[tuple[str, int, int], _Way] = {}
"""What leads to the files of a directory, for a process of this user and group: believed for as
long as no directory on it changes. Ten thousand zones have one.
"""


def writers_of(path: str, content: Content) -> frozenset[Writer]:
    """Who can write a file that was read at this absolute path, or put another in its place."""
    if content.place != path:
        # By links.
        return _looked_up(Path(path), content)
    process = (os.geteuid(), os.getegid())
    directory = os.path.dirname(path)  # noqa: PTH120
    way = _ways.get((directory, *process))
    try:
        if way is None or way.signature != signature(way.directories):
            way = _way(directory)
            if len(_ways) >= _WAYS:
                _ways.clear()
            _ways[directory, *process] = way
    except OSError:
        return _looked_up(Path(path), content)
    status = content.status
    rights = (status.st_uid, status.st_gid, status.st_mode)
    return way.writers | _of_file(rights, content.acl, process)


@dataclass(frozen=True)
class _Way:
    directories: list[bytes]
    """By the paths that led there; if they no longer do, each file is looked up."""
    signature: bytes
    writers: frozenset[Writer]


def _way(directory: str) -> _Way:
    path = Path(directory)
    directories = [os.fsencode(reach(above)) for above in (path, *path.parents)]
    # Before what is looked up: a change in between makes it another.
    before = signature(directories)
    # Where a directory is sticky, only its files' owners replace them: not what leads here.
    writers = set(_of_access(access_of(reach(directory)), False))
    for above in path.parents:
        writers |= set(_of_access(access_of(reach(above)), True))
    return _Way(directories, before, frozenset(writers))


@lru_cache(maxsize=256)
def _of_file(
    rights: tuple[int, int, int], acl: bytes, _process: tuple[int, int]
) -> frozenset[Writer]:
    """Who can write a file of this owner, group and mode, and list, as this process has it."""
    return frozenset(_of_access(access_by(*rights, acl), False))


def _looked_up(path: Path, content: Content) -> frozenset[Writer]:
    """The same, whatever is known."""
    writers = set(_of_access(access(content.status, content.acl), False))
    for name, is_link in _names(path):
        try:
            if is_link:
                owner = os.lstat(reach(name)).st_uid
                writers |= set(_of_owner(owner))
            # Where a directory is sticky, only its files' owners replace them: not what leads here.
            sticky = name.parent != path.parent
            writers |= set(_of_access(access_of(reach(name.parent)), sticky))
        except OSError:
            continue
    return frozenset(writers)


def _names(path: Path) -> Iterator[tuple[Path, bool]]:
    """All that is looked up on the way to a file, also by links; and whether it is a link."""
    here, ahead, links = Path("/"), list(reversed(path.parts[1:])), 0
    while ahead and links <= _MOST_LINKS:
        if (part := ahead.pop()) == "..":
            here = here.parent
            continue
        name = here / part
        target = "" if str(name) in kept() else _target(name)
        yield name, bool(target)
        if target:
            links += 1
            here = Path("/") if target.startswith("/") else here
            ahead += reversed([each for each in Path(target).parts if each != "/"])
        else:
            here = name


def _target(name: Path) -> str:
    try:
        return os.readlink(reach(name))  # noqa: PTH115
    except OSError:
        return ""


def check_readable(path: Path, content: Content, writers: frozenset[Writer]) -> None:
    """Raises UnfitFileError if one of these may not read the file that was read there."""
    found = access(content.status, content.acl)
    for writer in writers:
        above = Path(content.place).parents
        closed = next((each for each in above if not writer.may(_access_of(each), 0o1)), None)
        if closed is None and writer.may(found, 0o4):
            continue
        fix = f"chmod o+r {path}" if closed is None else f"chmod o+x {closed}"
        raise UnfitFileError(
            path, f"{writer.name}, who can write the zone, may not read it: {fix}, or name another"
        )


def _access_of(directory: Path) -> Access:
    return access_of(reach(directory))


def _of_access(found: Access, sticky: bool) -> Iterator[Writer]:
    yield from _of_owner(found.uid)
    if sticky and found.mode & stat.S_ISVTX:
        return
    if found.mode & stat.S_IWOTH:
        yield Writer("everybody", None, frozenset())
    if found.mode & stat.S_IWGRP and found.gid not in (0, os.getegid()):
        yield _group(found.gid)
    for uid, rights in found.users:
        if rights & 0o2:
            yield from _of_owner(uid)
    for gid, rights in found.groups:
        if rights & 0o2 and gid not in (0, os.getegid()):
            yield _group(gid)


def _of_owner(uid: int) -> Iterator[Writer]:
    if uid not in (0, os.geteuid()):
        yield _user(uid)


def _group(gid: int) -> Writer:
    return Writer(f"group {gid}", None, frozenset((gid,)))


@cache
def _user(uid: int) -> Writer:
    try:
        entry = pwd.getpwuid(uid)
        groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Writer(f"user {entry.pw_name}", uid, groups)
    except KeyError:
        return Writer(f"user {uid}", uid, frozenset())
