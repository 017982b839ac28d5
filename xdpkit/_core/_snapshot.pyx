# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Immutable snapshots of all that an answer depends on, and how they reach the threads.

A Snapshot owns its C struct and keeps its ZoneMap mapped. A SharedSnapshot holds every snapshot
that a reader may still use; ``collect`` drops those whose grace period is over
(``runtime/qsbr.h``).
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport EINTR, errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import ipaddress

from xdpkit._core._ratelimit cimport limit_rule_set
from xdpkit._core._rrl cimport rrl_rule_take
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit._core._stats import SERVICES

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
    int mprotect(void *address, size_t size, int protection)

cdef extern from "base/huge_map.h" nogil:
    void *huge_map(size_t size)
    void huge_unmap(void *base, size_t size)

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int fd, void *buffer, size_t size, long offset)

cdef extern from "zone/check.h" nogil:
    int zone_check(const void *base, size_t size)

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef class ZoneMap:
    """A compiled zone arena of ``size`` bytes, copied from the start of a file into our own memory.

    A copy, so that nothing that happens to the file or its disk can affect an answer; and because
    anonymous memory has huge pages, which random lookups need. Both it and its buffer are
    read-only. The descriptor may be closed afterwards. Raises OSError when it cannot be read,
    ValueError when it holds no arena of this version, or an invalid one.
    """

    def __init__(self, int fd, size_t size):
        cdef ssize_t copied
        cdef int sound = -1
        self.base, self.size = huge_map(size), size
        if self.base is NULL:
            raise MemoryError(f"out of memory for a zone arena of {size} bytes")
        with nogil:
            copied = copy(fd, <char *>self.base, size)
            if copied == <ssize_t>size:
                mprotect(self.base, size, PROT_READ)
                sound = zone_check(self.base, size)
        if copied < 0:
            raise OSError(-copied, f"a zone arena of {size} bytes could not be read")
        if sound != 0:
            raise ValueError("not a valid zone arena of this version of xdpkit")

    def view(self):
        """The arena's bytes, which stay mapped as long as this view exists."""
        return memoryview(self)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.base, self.size, 1, flags)

    def __dealloc__(self):
        if self.base is not NULL:
            huge_unmap(self.base, self.size)


cdef ssize_t copy(int fd, char *to, size_t size) noexcept nogil:
    """The number of bytes read, or a negative errno."""
    cdef size_t done = 0
    cdef ssize_t n

    while done < size:
        n = pread(fd, to + done, size - done, done)
        if n < 0 and errno == EINTR:
            continue
        if n < 0:
            return -errno
        if n == 0:
            break
        done += n
    return done


cdef class Snapshot:
    """Everything an answer depends on besides its request (``runtime/snapshot.h``).

    ``ports`` maps service names (ntp, dns, echo) to UDP ports; a service without one is off.
    ``reserved`` holds addresses (text or ipaddress objects) that no frame may come from: ours and
    our broadcast addresses. ``ntp`` holds fields of struct ntp_state by name, in its units; missing
    ones are 0. ``limit`` is a RateLimitRule, for threads with a table. ``keys`` and ``access`` are
    kept alive. ``phc`` holds fields of struct phc_map; without it the NIC's stamps are not used.
    ``dns_max_udp`` is the size limit of a DNS reply in bytes. ``dns`` holds the other DNS settings:
    ``max_udp_ipv4`` and ``max_udp_ipv6``; the bytes ``nsid``, ``version``, ``hostname`` and ``id``,
    each off when empty; ``cookie_secrets``, up to two of 16 bytes, of which the first makes the
    cookies; ``rrl``, an RrlRule for threads with a table, and ``rrl_others``, an AccessList of the
    sources not exempt from it. Raises ValueError or OverflowError for what does not fit.
    """

    def __cinit__(self, *args, **kwargs):
        self.c = <snapshot *>calloc(1, sizeof(snapshot))
        if self.c is NULL:
            raise MemoryError()

    def __init__(self, ports, *, ZoneMap zones=None, int dns_max_udp=1232, uint32_t echo_spin_ns=0,
                 dict ntp=None, Keys keys=None, AccessList access=None, limit=None,
                 dict phc=None, dict dns=None, reserved=()):
        self.zones, self.keys, self.access = zones, keys, access
        if zones is not None:
            self.c.zones = <const zone_arena *>zones.base
        elif "dns" in ports:
            raise ValueError("dns needs zones")
        self.c.echo_spin_ns = echo_spin_ns
        for name, port in ports.items():
            self.c.port[<int>SERVICES[name]] = port
        self._set_ntp(ntp or {})
        self._set_dns(dns or {}, dns_max_udp)
        if keys is not None:
            self.c.ntp_keys = keys.c
        if access is not None:
            self.c.ntp_access = access.c
        limit_rule_set(&self.c.ntp_ratelimit, limit or RateLimitRule())
        if phc is not None:
            self._set_phc(phc)
        addresses = [ipaddress.ip_address(address) for address in reserved]
        if len(addresses) > SNAPSHOT_RESERVED_MAX:
            raise ValueError(f"{len(addresses)} addresses: at most {SNAPSHOT_RESERVED_MAX} fit")
        for address in addresses:
            self._reserve(address)

    cdef _set_ntp(self, dict ntp):
        cdef ntp_state *c = &self.c.ntp
        c.leap = ntp.get("leap", 0)
        c.stratum = ntp.get("stratum", 0)
        c.precision = ntp.get("precision", 0)
        c.drift_ppm = ntp.get("drift_ppm", 0)
        c.root_delay = ntp.get("root_delay", 0)
        c.root_dispersion = ntp.get("root_dispersion", 0)
        c.refid = ntp.get("refid", 0)
        c.mono_epoch = ntp.get("mono_epoch", 0)
        c.reference = ntp.get("reference", 0)
        c.updated_ns = ntp.get("updated_ns", 0)
        c.expires_ns = ntp.get("expires_ns", 0)
        c.leap_ends_ns = ntp.get("leap_ends_ns", 0)

    cdef _set_phc(self, dict phc):
        cdef phc_map *c = &self.c.phc
        c.phc_ns, c.tai_ns, c.rate = phc["phc_ns"], phc["tai_ns"], phc["rate"]
        if not -PHC_RATE_MAX <= c.rate <= PHC_RATE_MAX:
            raise ValueError(f"a rate of {c.rate}: at most {PHC_RATE_MAX} either way fits")

    cdef _set_dns(self, dict dns, int max_udp):
        cdef dns_settings *c = &self.c.dns
        cdef int i
        c.max_udp[0] = dns.get("max_udp_ipv4", max_udp)
        c.max_udp[1] = dns.get("max_udp_ipv6", max_udp)
        c.nsid_length = put_text(c.nsid, dns.get("nsid", b""), "nsid", DNS_NSID_MAX)
        # In the order of enum dns_text.
        for i, name in enumerate(("version", "hostname", "id")):
            c.text_length[i] = put_text(c.text[i], dns.get(name, b""), name, DNS_TEXT_MAX)
        secrets = dns.get("cookie_secrets", ())
        if len(secrets) > DNS_COOKIE_SECRETS or any(len(s) != 16 for s in secrets):
            raise ValueError(f"cookie_secrets: at most {DNS_COOKIE_SECRETS} fit, of 16 bytes each")
        for i, secret in enumerate(secrets):
            memcpy(c.cookie_secret[i], <const char *>secret, 16)
        c.cookie_secrets = len(secrets)
        if dns.get("rrl") is not None:
            rrl_rule_take(&c.rrl, dns["rrl"])
        self.rrl_others = dns.get("rrl_others")
        if self.rrl_others is not None:
            c.rrl_others = self.rrl_others.c

    cdef _reserve(self, address):
        cdef bytes packed = address.packed
        snapshot_reserve(self.c, <const uint8_t *><const char *>packed, address.version)

    def __dealloc__(self):
        free(self.c)


cdef int put_text(uint8_t *to, bytes text, str name, int most) except -1:
    """Copies a setting's bytes; returns their number."""
    if len(text) > most:
        raise ValueError(f"{name}: {len(text)} bytes: at most {most} fit")
    memcpy(to, <const char *>text, len(text))
    return len(text)


@cython.no_gc_clear
cdef class SharedSnapshot:
    """The current snapshot, as the answering threads share it.

    ``publish`` and ``collect`` are for the control plane; the threads' owners allocate the readers
    before the threads start. It must outlive its readers, which keep a reference.
    """

    def __cinit__(self, Snapshot first not None):
        # Rounded up: aligned_alloc requires a multiple of the alignment.
        cdef size_t size = (sizeof(qsbr) + 63) & ~<size_t>63
        self.c = <qsbr *>aligned_alloc(64, size)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, size)
        self.c.generation = 1
        self.c.current = first.c
        self.current = first
        self.retired = []

    cdef qsbr_reader *reader(self) except NULL:
        """Allocates a reader for one thread, offline until the thread goes online."""
        if self.readers == QSBR_READERS:
            raise ValueError(f"more than {QSBR_READERS} answering threads")
        self.readers += 1
        return &self.c.reader[self.readers - 1]

    def publish(self, Snapshot snapshot not None):
        """Makes ``snapshot`` current: every thread uses it from its next batch on."""
        cdef uint64_t generation = qsbr_publish(self.c, snapshot.c)
        self.retired.append((generation, self.current))
        self.current = snapshot

    def collect(self):
        """Drops snapshots whose grace period is over; returns how many old ones may be in use."""
        self.retired = [
            (generation, old) for generation, old in self.retired
            if not qsbr_grace_period_over(self.c, generation)
        ]
        return len(self.retired)

    def __dealloc__(self):
        free(self.c)
