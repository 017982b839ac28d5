from libc.stdint cimport uint8_t, uint16_t, uint64_t

from xdpkit._core._answer cimport request
from xdpkit._core._capture cimport LocalNumbers, capture_set, local_address
from xdpkit._core._thread_state cimport ThreadState, batch_clock, tx_record, thread_state
from xdpkit._core._snapshot cimport SharedSnapshot, qsbr, qsbr_reader, snapshot
from xdpkit._core._stats cimport stats, verdict
from xdpkit._core._thread cimport Thread, thread

cdef extern from "slowpath/udp_listener.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    cdef struct msghdr:
        void *msg_control
        size_t msg_controllen
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned msg_len
    cdef struct udp_listener:
        stats stats
        qsbr *qsbr
        qsbr_reader *reader
        thread_state *state
        batch_clock clock
        uint64_t sent_ns
        const capture_set *capture
        thread thread
        int epoll_fd
        mmsghdr message[0]
        iovec vector[0]
        request request[0]
        tx_record tx_records[0]
        tx_record *pending_tx[0]
        uint8_t outcome[0]
        local_address local[0]
    enum:
        UDP_BATCH
    uint64_t udp_tag(int fd, uint8_t service, uint16_t local)
    int udp_tag_fd(uint64_t tag)
    void udp_rearm(udp_listener *d, int first, int end)
    void udp_capture_request(udp_listener *d, int i, uint64_t tag)
    verdict udp_request(udp_listener *d, int i, uint64_t tag)


cdef class UdpListener(Thread):
    cdef udp_listener *c
    cdef readonly SharedSnapshot shared
    cdef readonly ThreadState state
    cdef dict sockets
    cdef LocalNumbers numbers
