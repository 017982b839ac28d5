"""What a file's mode and its access control list allow to whom."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from xdpkit.regular_file import ACCESS_LIST

# linux/posix_acl_xattr.h: a version, then a tag, rights and an ID for each entry.
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION = 2
# linux/posix_acl.h.
_USER, _GROUP_OWNER, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10


@dataclass(frozen=True)
class Access:
    """Owner, group and mode, and the rights of users and groups that are named besides them.

    Rights are 4: read, 2: write, 1: pass.
    """

    uid: int
    gid: int
    mode: int
    users: tuple[tuple[int, int], ...] = ()
    groups: tuple[tuple[int, int], ...] = ()

    def allows(self, uid: int | None, gids: frozenset[int], bits: int) -> bool:
        """Whether a user, by any of these groups, has all of these rights (acl(5))."""
        if self.uid == uid:
            return self.mode >> 6 & bits == bits
        for user, rights in self.users:
            if user == uid:
                return rights & bits == bits
        owned = [(self.gid, self.mode >> 3 & 7)]
        found = [rights for gid, rights in (*owned, *self.groups) if gid in gids]
        return any(rights & bits == bits for rights in found or [self.mode & 7])


def access(found: os.stat_result, acl: bytes) -> Access:
    """What a file's status and its list (the extended attribute, empty without one) allow."""
    return access_by(found.st_uid, found.st_gid, found.st_mode, acl)


def access_by(uid: int, gid: int, whole_mode: int, acl: bytes) -> Access:
    """The same by owner, group and the status's mode."""
    entries = list(_entries(acl))
    mask = next((rights for tag, rights, _ in entries if tag == _MASK), 7)
    users, groups = (
        tuple((who, rights & mask) for tag, rights, who in entries if tag == wanted)
        for wanted in (_USER, _GROUP)
    )
    mode = stat.S_IMODE(whole_mode)
    # With a list, the mode's group has the mask.
    for tag, rights, _ in entries:
        if tag == _GROUP_OWNER:
            mode = mode & ~0o070 | (rights & mask) << 3
    return Access(uid, gid, mode, users, groups)


def access_of(path: str) -> Access:
    """The same of what a path leads to. Raises OSError."""
    acl = b""
    with suppress(OSError):
        acl = os.getxattr(path, ACCESS_LIST)
    return access(os.stat(path), acl)  # noqa: PTH116


def _entries(acl: bytes) -> Iterator[tuple[int, int, int]]:
    if len(acl) >= _HEAD.size and _HEAD.unpack_from(acl) == (_VERSION,):
        body = acl[_HEAD.size :]
        yield from _ENTRY.iter_unpack(body[: len(body) // _ENTRY.size * _ENTRY.size])
