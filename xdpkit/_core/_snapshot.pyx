# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Immutable snapshots of all that an answer depends on, and how they reach the threads.

A Snapshot owns its C struct and keeps what it points to. A SharedSnapshot holds every snapshot
that a reader may still use; ``collect`` drops those whose grace period is over
(``runtime/qsbr.h``).
"""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import ipaddress

from xdpkit._core._ratelimit cimport limit_rule_set
from xdpkit._core._rrl cimport rrl_rule_take
from xdpkit._core._stats import SERVICES

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


# As in the configuration: xdpkit/config/dns.py.
cdef enum:
    MAX_UDP = 1232


cdef class NtpState:
    """struct ntp_state by its fields' names, in its units; missing ones are 0.

    Raises TypeError for another name, OverflowError for a value that does not fit.
    """

    def __init__(self, uint8_t leap=0, uint8_t stratum=0, int8_t precision=0,
                 uint8_t drift_ppm=0, uint32_t root_delay=0, uint32_t root_dispersion=0,
                 uint32_t refid=0, uint32_t mono_epoch=0, uint64_t reference=0,
                 int64_t updated_ns=0, int64_t expires_ns=0, uint64_t leap_ends_ns=0):
        self.c.leap, self.c.stratum, self.c.precision = leap, stratum, precision
        self.c.drift_ppm, self.c.root_delay = drift_ppm, root_delay
        self.c.root_dispersion, self.c.refid = root_dispersion, refid
        self.c.mono_epoch, self.c.reference = mono_epoch, reference
        self.c.updated_ns, self.c.expires_ns = updated_ns, expires_ns
        self.c.leap_ends_ns = leap_ends_ns


cdef class PhcMap:
    """struct phc_map (``runtime/phc.h``). Raises ValueError for a rate beyond PHC_RATE_MAX."""

    def __init__(self, uint64_t phc_ns, uint64_t tai_ns, int64_t rate):
        if not -PHC_RATE_MAX <= rate <= PHC_RATE_MAX:
            raise ValueError(f"a rate of {rate}: at most {PHC_RATE_MAX} either way fits")
        self.c.phc_ns, self.c.tai_ns, self.c.rate = phc_ns, tai_ns, rate


# The names in dns_setting_table (dns/settings.h).
DNS_SETTINGS = tuple(
    dns_setting_table[i].name.decode() for i in range(DNS_SETTING_COUNT)
)


cdef class DnsSettings:
    """struct dns_settings (``dns/settings.h``): its settings by name, those of DNS_SETTINGS.

    A text is bytes, off when empty. ``cookie_secrets`` are up to two of 16 bytes, of which the
    first makes the cookies; ``rrl`` is an RrlRule for threads with a table, ``rrl_others`` an
    AccessList of the sources not exempt from it. Raises TypeError for another name, ValueError or
    OverflowError for what does not fit.
    """

    def __init__(self, cookie_secrets=(), rrl=None, AccessList rrl_others=None, **settings):
        cdef int i
        self.c.max_udp[0] = self.c.max_udp[1] = MAX_UDP
        for i in range(DNS_SETTING_COUNT):
            name = dns_setting_table[i].name.decode()
            if name in settings:
                self._set(&dns_setting_table[i], settings.pop(name))
        if settings:
            raise TypeError(f"no settings of DNS: {', '.join(settings)}")
        self._set_secrets(cookie_secrets)
        if rrl is not None:
            rrl_rule_take(&self.c.rrl, rrl)
        self.rrl_others = rrl_others
        if rrl_others is not None:
            self.c.rrl_others = rrl_others.c

    cdef _set(self, const dns_setting *setting, value):
        cdef char *to = <char *>&self.c + setting.offset
        cdef bytes raw
        if not setting.length:
            try:
                # The host is little-endian: base/bytes.h.
                raw = int(value).to_bytes(setting.size, "little")
            except OverflowError:
                raise OverflowError(f"{setting.name.decode()}: {value} does not fit") from None
            memcpy(to, <const char *>raw, setting.size)
            return
        if len(value) > setting.size:
            raise ValueError(
                f"{setting.name.decode()}: {len(value)} bytes: at most {setting.size} fit")
        raw = value
        memcpy(to, <const char *>raw, len(raw))
        (<uint8_t *>&self.c)[setting.length] = len(value)

    cdef _set_secrets(self, secrets):
        cdef int i
        if len(secrets) > DNS_COOKIE_SECRETS or any(len(s) != 16 for s in secrets):
            raise ValueError(f"cookie_secrets: at most {DNS_COOKIE_SECRETS} fit, of 16 bytes each")
        for i, secret in enumerate(secrets):
            memcpy(self.c.cookie_secret[i], <const char *>secret, 16)
        self.c.cookie_secrets = len(secrets)

    def completed(self, cookie_secrets, rrl, AccessList rrl_others, server_address=b""):
        """The same with these secrets and limits, and an address of the server as text."""
        cdef DnsSettings made = DnsSettings(
            cookie_secrets=cookie_secrets, rrl=rrl, rrl_others=rrl_others,
            server_address=server_address)
        cdef dns_settings c = self.c
        memcpy(c.cookie_secret, made.c.cookie_secret, sizeof(c.cookie_secret))
        c.cookie_secrets, c.rrl, c.rrl_others = (
            made.c.cookie_secrets, made.c.rrl, made.c.rrl_others)
        memcpy(c.server_address, made.c.server_address, sizeof(c.server_address))
        c.server_address_length = made.c.server_address_length
        made.c = c
        return made


cdef class ReservedSources:
    """The addresses (text or ipaddress objects) that no frame may come from, hashed once.

    Raises ValueError for more than fit, or what is no address.
    """

    def __cinit__(self, addresses=()):
        cdef bytes packed
        addresses = [ipaddress.ip_address(address) for address in addresses]
        if len(addresses) > SNAPSHOT_RESERVED_MAX:
            raise ValueError(f"{len(addresses)} addresses: at most {SNAPSHOT_RESERVED_MAX} fit")
        self.c = <reserved_sources *>calloc(1, sizeof(reserved_sources))
        if self.c is NULL:
            raise MemoryError()
        for address in addresses:
            packed = address.packed
            reserved_add(self.c, <const uint8_t *><const char *>packed, address.version)

    def __dealloc__(self):
        free(self.c)


def _made(kind, value):
    """A part: itself, or made from a mapping of its fields."""
    return value if isinstance(value, kind) else kind(**value)


cdef class Snapshot:
    """Everything an answer depends on besides its request (``runtime/snapshot.h``).

    ``ports`` maps service names (ntp, dns, echo) to UDP ports; a service without one is off. The
    other parts are immutable and kept alive: they are copied or pointed to, so that a snapshot
    costs the same whatever they hold. ``limit`` is a RateLimitRule for threads with a table, None
    for no limit; without ``phc`` the NIC's stamps are not used. ``ntp``, ``phc`` and ``dns`` may be
    given as a mapping of their fields, ``reserved`` as addresses. ``dns_max_udp`` is the size limit
    of a DNS reply where ``dns`` does not say. ``capture`` are the captures that run, ``latency``
    says whether the threads keep histograms. Raises ValueError, TypeError or OverflowError for what
    does not fit.
    """

    def __cinit__(self, *args, **kwargs):
        self.c = <snapshot *>calloc(1, sizeof(snapshot))
        if self.c is NULL:
            raise MemoryError()

    def __init__(self, ports, *, ZoneDirectory zones=None, int dns_max_udp=MAX_UDP,
                 uint32_t echo_spin_ns=0, ntp=None, Keys keys=None, AccessList access=None,
                 AccessList dns_access=None, AccessList echo_access=None,
                 limit=None, phc=None, dns=None, reserved=(), CaptureSet capture=None,
                 bint latency=False):
        sizes = {"max_udp_ipv4": dns_max_udp, "max_udp_ipv6": dns_max_udp}
        self.zones, self.keys, self.access = zones, keys, access
        if zones is not None:
            self.c.zones = zones.c
        elif "dns" in ports:
            raise ValueError("dns needs zones")
        self.c.echo_spin_ns = echo_spin_ns
        for name, port in ports.items():
            self.c.port[<int>SERVICES[name]] = port
        self.c.ntp = (<NtpState>_made(NtpState, ntp or {})).c
        if keys is not None:
            self.c.ntp_keys = keys.c
        if access is not None:
            self.c.ntp_access = access.c
        self.dns_access, self.echo_access = dns_access, echo_access
        if dns_access is not None:
            self.c.dns_access = dns_access.c
        if echo_access is not None:
            self.c.echo_access = echo_access.c
        self.c.echo_checks = echo_spin_ns > 0 or echo_access is not None
        if limit is not None:
            limit_rule_set(&self.c.ntp_ratelimit, limit)
        if phc is not None:
            self.c.phc = (<PhcMap>_made(PhcMap, phc)).c
        self.dns = dns if isinstance(dns, DnsSettings) else DnsSettings(**(sizes | (dns or {})))
        self.c.dns = self.dns.c
        self.reserved = (
            reserved if isinstance(reserved, ReservedSources) else ReservedSources(reserved))
        self.c.reserved = self.reserved.c
        self.capture = capture
        if capture is not None:
            self.c.capture = capture.c
        self.c.latency = latency
        memcpy(self.c.reserved_used, self.reserved.c.used, sizeof(self.reserved.c.used))

    def __dealloc__(self):
        free(self.c)


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
        cdef int i
        for i in range(QSBR_READERS):
            if not self.taken[i]:
                self.taken[i] = True
                return &self.c.reader[i]
        raise ValueError(f"more than {QSBR_READERS} answering threads")

    cdef void give_back(self, qsbr_reader *reader) noexcept:
        """Frees the reader of a thread that has ended, for another thread."""
        qsbr_offline(reader)
        self.taken[reader - self.c.reader] = False

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
