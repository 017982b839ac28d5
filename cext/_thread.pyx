# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""A raw thread as Python holds it: start, stop, join (``thread.h``)."""

from libc.string cimport memset, strncpy

import os

cdef extern from *:
    """
    #include <sys/eventfd.h>
    #include "thread.h"
    static int thread_join(struct thread *t) { return pthread_join(t->id, NULL); }
    """
    int thread_join(thread *t) nogil
    int eventfd(unsigned value, int flags) nogil
    int EFD_CLOEXEC


cdef class Thread:
    """Base of the answering threads.

    A subclass calls ``_prepare`` with where its C struct keeps the thread, ``_spawn`` to start it
    and, before it frees that struct, ``_finish``.
    """

    cdef object _prepare(self, thread *t, int cpu):
        memset(t, 0, sizeof(thread))
        t.cpu = cpu
        t.wake_fd = eventfd(0, EFD_CLOEXEC)
        if t.wake_fd < 0:
            raise OSError("no descriptor left for a thread's wake-up")
        self.t = t

    cdef object _spawn(self, str name, void *(*entry)(void *) noexcept nogil, void *argument):
        cdef int error
        encoded = name.encode()
        strncpy(self.t.name, <const char *>encoded, 15)
        error = thread_spawn(self.t, entry, argument)
        if error:
            raise OSError(error, os.strerror(error))
        self.running = True

    def stop(self):
        """Asks the thread to finish what it has at hand and end; returns at once."""
        thread_ask(self.t, THREAD_STOP)

    @property
    def done(self):
        """True once the thread has ended its loop."""
        return bool(thread_done(self.t))

    @property
    def tid(self):
        """The thread's id, as in /proc/PID/task; 0 before it runs."""
        return self.t.tid

    def join(self):
        """Waits for the thread's end; after that its sockets may be closed."""
        if self.running:
            with nogil:
                thread_join(self.t)
            self.running = False

    cdef void _finish(self):
        if self.t is NULL:
            return
        if self.running:
            thread_ask(self.t, THREAD_STOP)
            with nogil:
                thread_join(self.t)
            self.running = False
        if self.t.wake_fd >= 0:
            os.close(self.t.wake_fd)
            self.t.wake_fd = -1
