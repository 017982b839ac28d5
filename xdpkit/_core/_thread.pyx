# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""A raw thread as Python controls it: start, stop, join (``runtime/thread.h``)."""

cimport cython
from libc.string cimport memset, strncpy

from libc.errno cimport errno

import os

cdef extern from *:
    """
    #include <sys/eventfd.h>
    #include "runtime/thread.h"
    static int thread_join(struct thread *t) { return pthread_join(t->id, NULL); }
    """
    int thread_join(thread *t) nogil
    int eventfd(unsigned value, int flags) nogil
    int EFD_CLOEXEC


@cython.no_gc_clear
cdef class Thread:
    """Base class of the answering threads.

    A subclass calls ``_prepare`` with the thread and the counters in its C struct, ``_borrow`` for
    a reader of the snapshots, ``_spawn`` to start the thread and, before it frees that struct,
    ``_finish``. The reader is given back once the thread has ended.
    """

    cdef object _prepare(self, thread *t, const stats *s, int cpu):
        memset(t, 0, sizeof(thread))
        t.cpu = cpu
        t.sandbox_errno = -1
        t.wake_fd = eventfd(0, EFD_CLOEXEC)
        if t.wake_fd < 0:
            raise OSError(errno, f"eventfd: {os.strerror(errno)}")
        self.t, self.stats = t, s

    cdef qsbr_reader *_borrow(self, SharedSnapshot lender) except NULL:
        self.lender, self.reader = lender, lender.reader()
        return self.reader

    cdef object _spawn(self, str name, void *(*entry)(void *) noexcept nogil, void *argument):
        cdef int error
        encoded = name.encode()
        strncpy(self.t.name, <const char *>encoded, 15)
        error = thread_spawn(self.t, entry, argument)
        if error:
            self._ended()
            raise OSError(error, os.strerror(error))
        self.running = True

    cdef void _ended(self) noexcept:
        """There is no thread, any longer: whoever it was that joined it calls this."""
        self.running = False
        if self.reader is not NULL:
            self.lender.give_back(self.reader)
            self.reader = NULL

    def stop(self):
        """Tells the thread to finish pending work and end; returns immediately."""
        thread_send_order(self.t, THREAD_STOP)

    def realtime(self, int priority):
        """Sets the real-time priority before the start: 1 to 99 under SCHED_FIFO, 0 for none.

        The start then requires CAP_SYS_NICE or RLIMIT_RTPRIO (sched(7)).
        """
        self.t.priority = priority

    @property
    def dead(self):
        """True once the kernel killed the thread for a forbidden call (``runtime/sandbox.h``).

        It then holds no snapshot, and its owner may free its thread state.
        """
        if self.running and thread_try_join(self.t):
            self.killed = not thread_done(self.t)
            self._ended()
        return self.killed

    @property
    def done(self):
        """True while the thread is not in its loop: before its start, after its end, or dead."""
        return not self.running or bool(thread_done(self.t)) or self.dead

    @property
    def sandbox_errno(self):
        """0 once the thread is in its sandbox; the errno if it may still make any system call;
        -1 before it runs."""
        return self.t.sandbox_errno

    @property
    def tid(self):
        """The thread's ID, as in /proc/PID/task; 0 before it runs."""
        return self.t.tid

    @property
    def heartbeat(self):
        """How many turns the thread's loop has made, at least one a second."""
        return self.stats.heartbeat

    def join(self):
        """Waits for the thread to end; after that its sockets may be closed."""
        if self.running:
            with nogil:
                thread_join(self.t)
            self._ended()

    cdef void _finish(self):
        if self.t is NULL:
            return
        if self.running:
            thread_send_order(self.t, THREAD_STOP)
            with nogil:
                thread_join(self.t)
            self._ended()
        if self.t.wake_fd >= 0:
            os.close(self.t.wake_fd)
            self.t.wake_fd = -1
