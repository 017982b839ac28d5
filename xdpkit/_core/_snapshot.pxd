from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._capture cimport CaptureSet, capture_set
from xdpkit._core._prefix_map cimport AccessList, prefix_map
from xdpkit._core._keys cimport Keys, ntp_keys
from xdpkit._core._ratelimit cimport ratelimit_rule
from xdpkit._core._rrl cimport rrl_rule
from xdpkit._core._zones cimport ZoneDirectory, zone_directory

cdef extern from "runtime/snapshot.h" nogil:
    cdef struct ntp_state:
        uint8_t leap
        uint8_t stratum
        int8_t precision
        uint8_t drift_ppm
        uint32_t root_delay
        uint32_t root_dispersion
        uint32_t refid
        uint64_t reference
        int64_t updated_ns
        int64_t expires_ns
        uint64_t leap_ends_ns
        uint32_t mono_epoch
    cdef struct phc_map:
        uint64_t phc_ns
        uint64_t tai_ns
        int64_t rate
    cdef struct dns_settings:
        uint16_t max_udp[0]
        uint8_t cookie_secrets
        uint8_t server_address_length
        uint8_t server_address[0]
        uint64_t cookie_secret[0][2]
        rrl_rule rrl
        const prefix_map *rrl_others
    cdef struct dns_setting:
        const char *name
        uint16_t offset
        uint16_t size
        uint16_t length
    const dns_setting dns_setting_table[0]
    cdef struct reserved_sources:
        uint64_t used[0]
    cdef struct snapshot:
        const zone_directory *zones
        const prefix_map *dns_access
        const prefix_map *echo_access
        uint16_t port[0]
        bint echo_checks
        uint32_t echo_spin_ns
        ntp_state ntp
        const ntp_keys *ntp_keys
        const prefix_map *ntp_access
        ratelimit_rule ntp_ratelimit
        phc_map phc
        dns_settings dns
        uint64_t reserved_used[0]
        const reserved_sources *reserved
        const capture_set *capture
        bint latency
    enum:
        DNS_COOKIE_SECRETS
        DNS_SETTING_COUNT
        PHC_RATE_MAX
        SNAPSHOT_RESERVED_MAX
    void reserved_add(reserved_sources *s, const uint8_t *address, uint8_t ip_version)

cdef extern from "runtime/qsbr.h" nogil:
    cdef struct qsbr_reader:
        uint64_t seen
    cdef struct qsbr:
        const snapshot *current
        uint64_t generation
        qsbr_reader reader[0]
    enum:
        QSBR_READERS
    void qsbr_offline(qsbr_reader *reader)
    const snapshot *qsbr_online(qsbr *q, qsbr_reader *reader)
    const snapshot *qsbr_quiescent_state(qsbr *q, qsbr_reader *reader)
    uint64_t qsbr_publish(qsbr *q, const snapshot *s)
    bint qsbr_grace_period_over(const qsbr *q, uint64_t generation)


cdef class NtpState:
    cdef ntp_state c


cdef class PhcMap:
    cdef phc_map c


cdef class DnsSettings:
    cdef dns_settings c
    cdef AccessList rrl_others
    cdef _set(self, const dns_setting *setting, value)
    cdef _set_secrets(self, secrets)


cdef class ReservedSources:
    cdef reserved_sources *c


cdef class Snapshot:
    cdef snapshot *c
    cdef readonly ZoneDirectory zones
    cdef readonly Keys keys
    cdef readonly AccessList access, dns_access, echo_access
    cdef readonly ReservedSources reserved
    cdef DnsSettings dns
    cdef CaptureSet capture


cdef class SharedSnapshot:
    cdef qsbr *c
    cdef readonly Snapshot current
    cdef list retired
    cdef bint taken[QSBR_READERS]
    cdef qsbr_reader *reader(self) except NULL
    cdef void give_back(self, qsbr_reader *reader) noexcept
