from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._ratelimit cimport RateLimitTable, ratelimit_table
from xdpkit._core._rrl cimport RrlTable, rrl_table
from xdpkit._core._snapshot cimport phc_map, snapshot

cdef extern from "geo/generator.h" nogil:
    struct geo_generator:
        pass
    void geo_generator_seed(geo_generator *generator, uint64_t seed)

cdef extern from "runtime/thread_state.h" nogil:
    cdef struct batch_clock:
        uint64_t utc_ns
        uint64_t tai_ns
        uint64_t mono_ns
        int64_t utc_to_mono_ns
        int64_t tai_offset_s
        bint trust_stamps
        bint stepped
    cdef struct transmit_fit:
        double base_ns
        double slope_ns
    cdef struct transmit:
        uint8_t source
        bint compensate
        transmit_fit fit
    cdef struct ntp_saved_table:
        pass
    cdef struct ntp_digest:
        pass
    cdef struct ntp_counts:
        uint64_t request[64]
        uint64_t refused[8]
        uint64_t key[0]
        uint64_t leaked
        uint64_t steps
        uint64_t tx_true
        uint64_t tx_missing
        uint64_t tx_disbelieved
        uint64_t tx_error[0]
        uint8_t clients[0]
    cdef struct dns_counts:
        uint64_t cookie_valid
        uint64_t cookie_client
        uint64_t cookie_bad
        uint64_t cookie_malformed
        uint64_t rrl_limited
        uint64_t rrl_slipped
        uint64_t rrl_badcookie
    cdef struct dns_traffic:
        uint64_t kind[0]
        uint64_t query_bytes
        uint64_t reply_bytes
        uint64_t zone[0]
        uint64_t query_size[0]
        uint64_t type[0]
        uint64_t reply_size[0]
    cdef struct latency:
        uint64_t sum_ns
        uint64_t from_loop
        uint64_t bucket[0]
    cdef struct thread_state:
        uint64_t random
        geo_generator draws
        uint64_t seed
        dns_counts dns
        ntp_saved_table saved
        ratelimit_table *ratelimit_table
        rrl_table *rrl
        ntp_digest digest
        transmit transmit
        ntp_counts counts
        dns_traffic traffic
        latency latency
        uint16_t thread
    cdef struct tx_completion:
        pass
    cdef struct tx_record:
        uint8_t *payload
        uint64_t sum
        tx_completion *completion
        uint8_t batch_index
    enum:
        CLOCK_REALTIME
        LATENCY_BUCKETS
        LATENCY_STEP_BITS
        TRANSMIT_KICK
        TRANSMIT_COMPLETION
        TRANSMIT_HARDWARE
        TRANSMIT_METADATA_BYTES
        NTP_CLIENTS
        NTP_ERROR_BUCKETS
        NTP_ERROR_SIDE
        NTP_KEY_SLOTS
        DNS_KINDS
        DNS_KIND_DO
        DNS_KIND_EDNS
        DNS_KIND_IPV6
        DNS_QUERY_SIZES
        DNS_REPLY_SIZES
        DNS_SIZE_SHIFT
        DNS_TYPE_SLOTS
        DNS_ZONE_SLOTS
    uint32_t latency_bucket(uint64_t ns)
    void latency_add(latency *found, uint64_t now, uint64_t stamp, uint64_t loop)
    uint64_t clock_ns(int clock)
    void clock_read(batch_clock *clock)
    void clock_advance(batch_clock *clock)
    void clock_expire(batch_clock *clock)
    void thread_state_begin_batch(thread_state *m, const snapshot *snap, const batch_clock *clock)
    void ntp_saved_open(ntp_saved_table *table, void *entries, uint32_t count)
    int ntp_digest_open(ntp_digest *digest)
    void ntp_digest_close(ntp_digest *digest)
    uint32_t ntp_error_bucket(int64_t ns)

cdef extern from "ntp/stamp.h" nogil:
    void tx_stamp_batch(thread_state *m, tx_record *const *records, uint32_t n)
    tx_completion *tx_request_timestamp(uint8_t *data, const uint8_t *payload)
    void tx_skip_timestamp(uint8_t *data)
    void tx_process_completion(thread_state *m, const uint8_t *data, const phc_map *phc,
                               int64_t tai_offset_s)


cdef class ThreadState:
    cdef thread_state *c
    cdef void *saved
    cdef size_t saved_bytes
    cdef RateLimitTable limits
    cdef RrlTable answers
