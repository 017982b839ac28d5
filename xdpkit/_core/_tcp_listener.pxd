from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._capture cimport LocalNumbers, local_address
from xdpkit._core._thread_state cimport ThreadState, batch_clock, thread_state
from xdpkit._core._snapshot cimport SharedSnapshot, qsbr, qsbr_reader, snapshot
from xdpkit._core._stats cimport stats
from xdpkit._core._thread cimport Thread, thread

cdef extern from "slowpath/tcp_table.h" nogil:
    enum:
        TCP_QUERY_MAX
    enum tcp_end:
        TCP_END_client
        TCP_END_displaced
        TCP_END_error
        TCP_END_COUNT
    cdef struct tcp_connection:
        int fd
        uint32_t unsent
        uint8_t end
        bint half_closed
    cdef struct tcp_limits:
        uint32_t connections
        uint32_t per_source
        uint32_t slots
        uint32_t queries
        uint64_t idle_ns
    cdef struct tcp_table:
        uint32_t used
    size_t tcp_table_bytes(const tcp_limits *limits)
    void tcp_table_open(tcp_table *table, const tcp_limits *limits, void *state,
                        const uint64_t *seed)
    tcp_connection *tcp_slot_victim(const tcp_table *table)
    void tcp_take_large(tcp_table *table, tcp_connection *c)

cdef extern from "slowpath/tcp.h" nogil:
    cdef struct tcp:
        stats stats
        uint64_t accepted
        uint64_t queries
        uint64_t ended[0]
        thread_state *state
        batch_clock clock
        tcp_table table
        const local_address *local
        uint32_t filled
    cdef struct tcp_bytes:
        const uint8_t *at
        uint32_t length
    enum tcp_step:
        TCP_NEEDS_SLOT
        TCP_OUTPUT_FULL
        TCP_CLOSES
    uint8_t *tcp_input(tcp *t, tcp_connection *c, uint32_t *room)
    void tcp_received(tcp_connection *c, uint32_t length)
    tcp_step tcp_answer(tcp *t, tcp_connection *c, const snapshot *snap)
    tcp_bytes tcp_output(const tcp *t, const tcp_connection *c)
    bint tcp_sent(tcp *t, tcp_connection *c, uint32_t length)

cdef extern from "slowpath/tcp_listener.h" nogil:
    cdef union epoll_data:
        uint64_t u64
    cdef struct epoll_event:
        epoll_data data
    cdef struct tcp_listener:
        tcp tcp
        qsbr *qsbr
        qsbr_reader *reader
        thread thread
        int epoll_fd
        int listen_fd
        uint64_t pauses
        epoll_event event[0]
        local_address local[0]
    enum:
        TCP_LISTENER_WAKE
        TCP_LISTENER_LISTENERS
    uint64_t tcp_listener_tag(int fd, uint16_t local)
    int tcp_listener_watch(int epoll_fd, int op, int fd, uint32_t events, uint64_t tag)
    int tcp_listener_wait(tcp_listener *d, int ms)
    tcp_connection *tcp_listener_connection(tcp_listener *d, uint64_t tag)
    void tcp_listener_watch_connection(tcp_listener *d, tcp_connection *c, uint32_t events)
    bint tcp_listener_would_block()
    int tcp_listener_sleep_ms(const tcp_listener *d)
    void tcp_listener_accept(tcp_listener *d, const snapshot *snap)
    void tcp_listener_close(tcp_listener *d, tcp_connection *c, tcp_end why)
    void tcp_listener_tick(tcp_listener *d)
    void tcp_listener_close_all(tcp_listener *d)


cdef class TcpListener(Thread):
    cdef tcp_listener *c
    cdef void *tables
    cdef size_t tables_size
    cdef readonly SharedSnapshot shared
    cdef readonly ThreadState state
    cdef dict sockets
    cdef LocalNumbers numbers
