from libc.stdint cimport uint8_t, uint32_t, uint64_t

from xdpkit._core._thread_state cimport Memory, batch_clock, memory
from xdpkit._core._snapshot cimport Publisher, qsbr, qsbr_reader, snapshot
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
        bint leaving
    cdef struct tcp_limits:
        uint32_t connections
        uint32_t per_source
        uint32_t unsent
        uint32_t queries
        uint64_t idle_ns
    cdef struct tcp_table:
        uint32_t used
    size_t tcp_table_bytes(const tcp_limits *limits)
    void tcp_table_open(tcp_table *table, const tcp_limits *limits, void *memory,
                        const uint64_t *seed)
    tcp_connection *tcp_in_the_way(const tcp_table *table)

cdef extern from "slowpath/tcp.h" nogil:
    cdef struct tcp:
        stats stats
        uint64_t accepted
        uint64_t queries
        uint64_t ended[0]
        memory *memory
        batch_clock clock
        tcp_table table
        uint32_t filled
    cdef struct tcp_bytes:
        const uint8_t *at
        uint32_t length
    enum tcp_step:
        TCP_FULL
        TCP_LEAVES
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
    cdef struct tcp_door:
        tcp tcp
        qsbr *qsbr
        qsbr_reader *reader
        thread thread
        int epoll_fd
        int listen_fd
        uint64_t pauses
        epoll_event event[0]
    enum:
        TCP_DOOR_WAKE
        TCP_DOOR_LISTENERS
    int tcp_door_watch(int epoll_fd, int op, int fd, uint32_t events, uint64_t tag)
    int tcp_door_wait(tcp_door *d, int ms)
    tcp_connection *tcp_door_connection(tcp_door *d, uint64_t tag)
    void tcp_door_watch_for(tcp_door *d, tcp_connection *c, uint32_t events)
    bint tcp_door_later()
    int tcp_door_sleep_ms(const tcp_door *d)
    void tcp_door_accept(tcp_door *d)
    void tcp_door_end(tcp_door *d, tcp_connection *c, tcp_end why)
    void tcp_door_tick(tcp_door *d)
    void tcp_door_end_all(tcp_door *d)


cdef class TcpDoor(Thread):
    cdef tcp_door *c
    cdef void *tables
    cdef size_t tables_size
    cdef readonly Publisher publisher
    cdef readonly Memory memory
    cdef dict sockets
