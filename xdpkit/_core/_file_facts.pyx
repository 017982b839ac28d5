# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about files, without an object for each fact: for ten thousand of them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport ENOENT, ERANGE, errno
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf

import os

cdef extern from "<sys/stat.h>" nogil:
    struct timespec:
        int64_t tv_sec
        int64_t tv_nsec
    struct stat_result "stat":
        uint64_t st_dev, st_ino, st_mode, st_nlink, st_uid, st_gid
        timespec st_ctim
    int stat(const char *path, stat_result *found)

cdef extern from "<sys/xattr.h>" nogil:
    ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)

cdef extern from "<unistd.h>" nogil:
    ssize_t readlink(const char *path, char *target, size_t size)

cdef extern from "<limits.h>" nogil:
    enum:
        PATH_MAX

cdef enum:
    # Numbers of one directory.
    NUMBERS = 8
    # Bytes of an access list of sixty entries; a longer one is asked for in another way.
    SHORT = 512


def signature(list paths not None):
    """Packs type and mode, inode, device, links, owner, group and time of change of each.

    Of what these paths of bytes lead to. A list of rights changes the time, too (inode(7)). Raises
    OSError.
    """
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, NUMBERS * sizeof(uint64_t) * len(paths))
    cdef uint64_t *to = <uint64_t *>PyBytes_AS_STRING(packed)
    cdef stat_result found
    cdef const char *path
    cdef int failed
    for each in paths:
        path = each
        with nogil:
            failed = errno if stat(path, &found) else 0
        if failed:
            raise OSError(failed, os.strerror(failed), os.fsdecode(each))
        to[0], to[1], to[2], to[3] = found.st_mode, found.st_ino, found.st_dev, found.st_nlink
        to[4], to[5] = found.st_uid, found.st_gid
        to[6], to[7] = <uint64_t>found.st_ctim.tv_sec, <uint64_t>found.st_ctim.tv_nsec
        to += NUMBERS
    return packed


def place_and_list(int fd, str attribute not None):
    """The path of an open file (empty without /proc), and an extended attribute (empty without it).

    Raises OSError for a path that cannot be said.
    """
    cdef char path[64]
    cdef char place[PATH_MAX]
    cdef char value[SHORT]
    cdef bytes encoded = attribute.encode()
    cdef const char *name = encoded
    cdef ssize_t length, size
    cdef int unplaced, unlisted
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd)
    with nogil:
        length = readlink(path, place, sizeof(place))
        unplaced = errno if length < 0 else 0
        size = fgetxattr(fd, name, value, sizeof(value))
        unlisted = errno if size < 0 else 0
    if unplaced and unplaced != ENOENT:
        raise OSError(unplaced, os.strerror(unplaced), f"/proc/self/fd/{fd}")
    found = value[:max(size, 0)] if unlisted != ERANGE else os.getxattr(fd, attribute)
    return os.fsdecode(place[:max(length, 0)]), found
