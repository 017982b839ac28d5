# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The bpf(2) calls that bcc lacks: links that end with this process, programs bound to a device,
map access by descriptor, test runs.

Keys and values are bytes in the layout of ``ebpf/steer.h``, in host order unless the header says
otherwise. Every function raises OSError with the kernel's errno.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.errno cimport ENOENT, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import os

cdef extern from "<linux/bpf.h>" nogil:
    """
    #include <string.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #include <linux/if_link.h>

    static inline long sys_bpf(int command, union bpf_attr *attr)
    {
        return syscall(__NR_bpf, command, attr, sizeof *attr);
    }
    /* Linux 6.3, include/uapi/linux/bpf.h: bound to one device, whose kfuncs it may call. */
    #ifndef BPF_F_XDP_DEV_BOUND_ONLY
    #define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
    #endif

    static inline void bpf_set_prog(union bpf_attr *a, const void *code, uint32_t size,
                                    const char *name, uint32_t ifindex, void *log,
                                    uint32_t log_size)
    {
        a->prog_type = BPF_PROG_TYPE_XDP;
        a->expected_attach_type = BPF_XDP;
        a->insns = (uintptr_t)code;
        a->insn_cnt = size / sizeof(struct bpf_insn);
        a->license = (uintptr_t)"Dual BSD/GPL"; /* as in steer.c, in the kernel's spelling */
        a->prog_ifindex = ifindex;
        a->prog_flags = ifindex ? BPF_F_XDP_DEV_BOUND_ONLY : 0;
        strncpy(a->prog_name, name, sizeof a->prog_name - 1);
        a->log_level = log_size != 0;
        a->log_buf = (uintptr_t)log;
        a->log_size = log_size;
    }
    static inline void bpf_set_link(union bpf_attr *a, int prog, int ifindex, uint32_t flags)
    {
        a->link_create.prog_fd = prog;
        a->link_create.target_ifindex = ifindex;
        a->link_create.attach_type = BPF_XDP;
        a->link_create.flags = flags;
    }
    static inline void bpf_set_link_program(union bpf_attr *a, int link, int prog)
    {
        a->link_update.link_fd = link;
        a->link_update.new_prog_fd = prog;
    }
    static inline void bpf_set_elem(union bpf_attr *a, int map, const void *key, void *value,
                                    uint64_t flags)
    {
        a->map_fd = map;
        a->key = (uintptr_t)key;
        a->value = (uintptr_t)value;
        a->flags = flags;
    }
    static inline void bpf_set_batch(union bpf_attr *a, int map, const uint32_t *after,
                                     uint32_t *last, uint32_t *keys, uint64_t *values,
                                     uint32_t count)
    {
        a->batch.map_fd = map;
        a->batch.in_batch = (uintptr_t)after;
        a->batch.out_batch = (uintptr_t)last;
        a->batch.keys = (uintptr_t)keys;
        a->batch.values = (uintptr_t)values;
        a->batch.count = count;
    }
    static inline uint32_t bpf_batch_count(const union bpf_attr *a) { return a->batch.count; }
    static inline void bpf_set_info(union bpf_attr *a, int fd, void *info, uint32_t size)
    {
        a->info.bpf_fd = fd;
        a->info.info_len = size;
        a->info.info = (uintptr_t)info;
    }
    static inline uint32_t bpf_link_ifindex(const struct bpf_link_info *info)
    {
        return info->xdp.ifindex;
    }
    static inline uint32_t bpf_link_prog_id(const struct bpf_link_info *info)
    {
        return info->prog_id;
    }
    static inline void bpf_set_run(union bpf_attr *a, int prog, const void *in, uint32_t in_size,
                                   void *out, uint32_t out_size, void *ctx, uint32_t ctx_size,
                                   void *ctx_out)
    {
        a->test.prog_fd = prog;
        a->test.data_in = (uintptr_t)in;
        a->test.data_size_in = in_size;
        a->test.data_out = (uintptr_t)out;
        a->test.data_size_out = out_size;
        a->test.ctx_in = (uintptr_t)ctx;
        a->test.ctx_size_in = ctx_size;
        a->test.ctx_out = (uintptr_t)ctx_out;
        a->test.ctx_size_out = ctx_size;
        a->test.repeat = 1;
    }
    """
    union bpf_attr:
        uint32_t prog_id
    cdef struct bpf_link_info:
        pass
    cdef struct bpf_prog_info:
        uint32_t id
        char name[16]
    cdef struct xdp_md:
        uint32_t data
        uint32_t data_end
        uint32_t data_meta
        uint32_t ingress_ifindex
        uint32_t rx_queue_index
    enum:
        BPF_MAP_LOOKUP_ELEM
        BPF_MAP_UPDATE_ELEM
        BPF_MAP_DELETE_ELEM
        BPF_MAP_LOOKUP_BATCH
        BPF_PROG_LOAD
        BPF_PROG_TEST_RUN
        BPF_PROG_GET_FD_BY_ID
        BPF_OBJ_GET_INFO_BY_FD
        BPF_LINK_CREATE
        BPF_LINK_UPDATE
        XDP_FLAGS_SKB_MODE
        XDP_FLAGS_DRV_MODE
    long sys_bpf(int command, bpf_attr *attr)
    void bpf_set_prog(bpf_attr *a, const void *code, uint32_t size, const char *name,
                      uint32_t ifindex, void *log, uint32_t log_size)
    void bpf_set_link(bpf_attr *a, int prog, int ifindex, uint32_t flags)
    void bpf_set_link_program(bpf_attr *a, int link, int prog)
    void bpf_set_elem(bpf_attr *a, int map, const void *key, void *value, uint64_t flags)
    void bpf_set_batch(bpf_attr *a, int map, const uint32_t *after, uint32_t *last,
                       uint32_t *keys, uint64_t *values, uint32_t count)
    uint32_t bpf_batch_count(const bpf_attr *a)
    void bpf_set_info(bpf_attr *a, int fd, void *info, uint32_t size)
    uint32_t bpf_link_ifindex(const bpf_link_info *info)
    uint32_t bpf_link_prog_id(const bpf_link_info *info)
    void bpf_set_run(bpf_attr *a, int prog, const void *data, uint32_t size, void *out,
                     uint32_t out_size, void *ctx, uint32_t ctx_size, void *ctx_out)

# The kernel's XDP_FLAGS_* (linux/if_link.h): one of the two modes, without fallback to the other.
SKB_MODE = XDP_FLAGS_SKB_MODE
DRV_MODE = XDP_FLAGS_DRV_MODE

cdef enum:
    # steer.c's log at level 1 takes a tenth; before Linux 6.4 a log that overflows loses its end.
    VERIFIER_LOG = 1 << 20
    # All that 128 queues of 32 slots have on 128 CPUs.
    BATCH_BYTES = 4 << 20


cdef dict COMMANDS = {
    BPF_MAP_LOOKUP_ELEM: "BPF_MAP_LOOKUP_ELEM",
    BPF_MAP_UPDATE_ELEM: "BPF_MAP_UPDATE_ELEM",
    BPF_MAP_DELETE_ELEM: "BPF_MAP_DELETE_ELEM",
    BPF_MAP_LOOKUP_BATCH: "BPF_MAP_LOOKUP_BATCH",
    BPF_PROG_TEST_RUN: "BPF_PROG_TEST_RUN",
    BPF_PROG_GET_FD_BY_ID: "BPF_PROG_GET_FD_BY_ID",
    BPF_OBJ_GET_INFO_BY_FD: "BPF_OBJ_GET_INFO_BY_FD",
    BPF_LINK_CREATE: "BPF_LINK_CREATE",
    BPF_LINK_UPDATE: "BPF_LINK_UPDATE",
}


cdef object _error(int command, int number):
    return OSError(number, f"bpf({COMMANDS[command]}): {os.strerror(number)}")


cdef long _call(int command, bpf_attr *attr) except -1:
    cdef long result = sys_bpf(command, attr)
    if result < 0:
        raise _error(command, errno)
    return result


def map_update(int map_fd, bytes key not None, bytes value not None):
    """Writes one map element; the sizes must match the map's."""
    cdef bpf_attr attr
    memset(&attr, 0, sizeof(attr))
    bpf_set_elem(&attr, map_fd, PyBytes_AS_STRING(key), PyBytes_AS_STRING(value), 0)
    _call(BPF_MAP_UPDATE_ELEM, &attr)


def map_delete(int map_fd, bytes key not None):
    """Removes one map element; the errno is ENOENT when there is none."""
    cdef bpf_attr attr
    memset(&attr, 0, sizeof(attr))
    bpf_set_elem(&attr, map_fd, PyBytes_AS_STRING(key), NULL, 0)
    _call(BPF_MAP_DELETE_ELEM, &attr)


def map_lookup(int map_fd, bytes key not None, int size):
    """Returns one element's ``size`` bytes. Per-CPU maps: 8-aligned size times possible CPUs."""
    cdef bpf_attr attr
    cdef bytearray value = bytearray(size)
    cdef char *out = value
    memset(&attr, 0, sizeof(attr))
    bpf_set_elem(&attr, map_fd, PyBytes_AS_STRING(key), out, 0)
    _call(BPF_MAP_LOOKUP_ELEM, &attr)
    return bytes(value)


def percpu_sums(int map_fd, uint32_t count, uint32_t cpus, size_t room=BATCH_BYTES):
    """Returns the sums over all CPUs of the first ``count`` elements of a per-CPU array of __u64.

    A system call for every ``room`` bytes of values (bpf(2), BPF_MAP_LOOKUP_BATCH; Linux 5.13 for
    per-CPU arrays). ``cpus`` is the number of possible CPUs: the kernel writes a value for each,
    whatever the caller expects. Elements beyond the end of the map are left out.
    """
    cdef uint32_t size = min(count, max(1, room // (sizeof(uint64_t) * cpus)))
    cdef uint64_t *values
    cdef uint32_t *keys
    cdef uint32_t done = 0
    cdef list sums = []
    if not count:
        return sums
    values = <uint64_t *>malloc(<size_t>size * cpus * sizeof(uint64_t))
    keys = <uint32_t *>malloc(<size_t>size * sizeof(uint32_t))
    try:
        if values is NULL or keys is NULL:
            raise MemoryError()
        while done < count:
            got = _batch(map_fd, done, min(size, count - done), keys, values)
            sums.extend([_sum(values + <size_t>i * cpus, cpus) for i in range(got)])
            done += got
            if not got:
                break
    finally:
        free(values)
        free(keys)
    return sums


cdef uint32_t _batch(int map_fd, uint32_t first, uint32_t count, uint32_t *keys,
                     uint64_t *values) except? 0:
    """Reads elements from ``first`` on; returns how many: fewer at the end of the map, then 0."""
    cdef bpf_attr attr
    # The kernel continues after the key it last gave; none before the first.
    cdef uint32_t after = first - 1
    cdef uint32_t last
    cdef long result
    memset(&attr, 0, sizeof(attr))
    bpf_set_batch(&attr, map_fd, &after if first else NULL, &last, keys, values, count)
    with nogil:
        result = sys_bpf(BPF_MAP_LOOKUP_BATCH, &attr)
    # ENOENT: the map ends here; the count says how many came before the end.
    if result < 0 and errno != ENOENT:
        raise _error(BPF_MAP_LOOKUP_BATCH, errno)
    return bpf_batch_count(&attr)


cdef uint64_t _sum(const uint64_t *values, uint32_t count) noexcept:
    cdef uint64_t total = 0
    cdef uint32_t i
    for i in range(count):
        total += values[i]
    return total


class VerifierError(OSError):
    """The kernel rejected a program; ``log`` is the verifier's log, possibly empty."""

    def __init__(self, number, log):
        super().__init__(number, f"bpf(BPF_PROG_LOAD): {os.strerror(number)}")
        self.log = log


def prog_load(bytes code not None, str name not None, int ifindex=0):
    """Loads XDP instructions, bound to an interface of this network namespace; returns the program.

    ``code`` is what bcc compiled, 8 bytes per instruction, with descriptors of this process's maps
    in it; the license is "Dual BSD/GPL". A bound program may call the metadata kfuncs, and attaches
    only to that interface, in native mode (Linux 6.3,
    ``Documentation/networking/xdp-rx-metadata.rst``); with an ``ifindex`` of 0 it is not bound.
    Raises VerifierError.
    """
    cdef bpf_attr attr
    cdef bytes label = name.encode()
    cdef bytearray log
    cdef char *words
    cdef long fd
    cdef int number
    memset(&attr, 0, sizeof(attr))
    bpf_set_prog(&attr, PyBytes_AS_STRING(code), len(code), label, ifindex, NULL, 0)
    fd = sys_bpf(BPF_PROG_LOAD, &attr)
    if fd >= 0:
        return fd
    number = errno
    # Again for the verifier's log: a log buffer too small for it would fail a good program.
    log = bytearray(VERIFIER_LOG)
    words = log
    memset(&attr, 0, sizeof(attr))
    bpf_set_prog(&attr, PyBytes_AS_STRING(code), len(code), label, ifindex, words, len(log))
    fd = sys_bpf(BPF_PROG_LOAD, &attr)
    if fd >= 0:
        return fd
    raise VerifierError(number, log.split(b"\0", 1)[0].decode("utf-8", "replace"))


def link_create(int prog_fd, int ifindex, uint32_t flags):
    """Attaches an XDP program to an interface; returns the link's descriptor, to be closed.

    The attachment lives as long as the descriptor: a killed process leaves nothing behind
    (bpf(2), BPF_LINK_CREATE). ``flags`` is SKB_MODE or DRV_MODE.
    """
    cdef bpf_attr attr
    memset(&attr, 0, sizeof(attr))
    bpf_set_link(&attr, prog_fd, ifindex, flags)
    return _call(BPF_LINK_CREATE, &attr)


def link_update(int link_fd, int prog_fd):
    """Replaces the XDP program of a link atomically, between two frames.

    Raises OSError (bpf(2), BPF_LINK_UPDATE).
    """
    cdef bpf_attr attr
    memset(&attr, 0, sizeof(attr))
    bpf_set_link_program(&attr, link_fd, prog_fd)
    _call(BPF_LINK_UPDATE, &attr)


def link_attached(int link_fd):
    """Whether an XDP link is still attached to an interface.

    It no longer is when the interface is gone or somebody detached it (bpf(2), BPF_LINK_DETACH).
    """
    cdef bpf_link_info info = _link_info(link_fd)
    return bpf_link_ifindex(&info) != 0


def link_program(int link_fd):
    """The ID of the program in a link, attached or not."""
    cdef bpf_link_info info = _link_info(link_fd)
    return bpf_link_prog_id(&info)


cdef bpf_link_info _link_info(int link_fd) except *:
    cdef bpf_attr attr
    cdef bpf_link_info info
    memset(&info, 0, sizeof(info))
    memset(&attr, 0, sizeof(attr))
    bpf_set_info(&attr, link_fd, &info, sizeof(info))
    _call(BPF_OBJ_GET_INFO_BY_FD, &attr)
    return info


def prog_id(int prog_fd):
    """The ID of a loaded program."""
    cdef bpf_attr attr
    cdef bpf_prog_info info
    memset(&info, 0, sizeof(info))
    memset(&attr, 0, sizeof(attr))
    bpf_set_info(&attr, prog_fd, &info, sizeof(info))
    _call(BPF_OBJ_GET_INFO_BY_FD, &attr)
    return info.id


def prog_name(uint32_t prog_id):
    """Returns the name (up to 15 bytes) of the loaded program with this ID."""
    cdef bpf_attr attr
    cdef bpf_prog_info info
    cdef int fd
    memset(&attr, 0, sizeof(attr))
    attr.prog_id = prog_id
    fd = _call(BPF_PROG_GET_FD_BY_ID, &attr)
    try:
        memset(&info, 0, sizeof(info))
        memset(&attr, 0, sizeof(attr))
        bpf_set_info(&attr, fd, &info, sizeof(info))
        _call(BPF_OBJ_GET_INFO_BY_FD, &attr)
    finally:
        os.close(fd)
    return info.name[:].split(b"\0")[0].decode("ascii", "replace")


def prog_run(int prog_fd, bytes frame not None, int ifindex=0, int queue=0, bytes metadata=b""):
    """Runs an XDP program on a frame (BPF_PROG_TEST_RUN) as if received on an interface's queue.

    Returns ``(action, metadata, frame)``: the XDP action, the metadata bytes before the frame, and
    the resulting frame. The argument ``metadata``, a multiple of 4 bytes, is put before the frame
    in advance. ``queue`` requires an ``ifindex`` that has it.
    """
    cdef bpf_attr attr
    cdef xdp_md before, after
    cdef bytes data = metadata + frame
    cdef bytearray out = bytearray(len(data) + 256)
    cdef char *out_bytes = out
    memset(&attr, 0, sizeof(attr))
    memset(&before, 0, sizeof(before))
    memset(&after, 0, sizeof(after))
    before.data = len(metadata)
    before.data_end = len(data)
    before.ingress_ifindex = ifindex
    before.rx_queue_index = queue
    bpf_set_run(&attr, prog_fd, PyBytes_AS_STRING(data), len(data), out_bytes, len(out),
                &before, sizeof(before), &after)
    _call(BPF_PROG_TEST_RUN, &attr)
    whole = bytes(out[: after.data_end])
    return bpf_run_action(&attr), whole[: after.data], whole[after.data :]


cdef extern from *:
    """
    static inline uint32_t bpf_run_action(const union bpf_attr *a) { return a->test.retval; }
    """
    uint32_t bpf_run_action(const bpf_attr *a) nogil
