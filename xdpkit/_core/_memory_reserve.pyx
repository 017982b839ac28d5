# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""A MemoryError that comes while there is still memory to deal with it.

Of a process at its limit, CPython 3.11 makes something much slower, as each small object is sought
with a system call, and then an endless loop: where a ``with`` or ``finally`` is left by an
exception, it makes an integer, and when that fails, tries again (_PyEval_EvalFrameDefault,
exception_unwind).
"""

cdef extern from "<sys/resource.h>" nogil:
    ctypedef unsigned long rlim_t
    cdef struct rlimit:
        rlim_t rlim_cur
        rlim_t rlim_max
    int RLIMIT_AS
    int getrlimit(int resource, rlimit* limit)
    int setrlimit(int resource, const rlimit* limit)

cdef extern from "Python.h" nogil:
    ctypedef struct PyObjectArenaAllocator:
        void* ctx
        void* (*alloc)(void* ctx, size_t size) noexcept nogil
        void (*free)(void* ctx, void* ptr, size_t size) noexcept nogil
    void PyObject_GetArenaAllocator(PyObjectArenaAllocator* allocator)
    void PyObject_SetArenaAllocator(PyObjectArenaAllocator* allocator)

cdef extern from "Python.h":
    int Py_AddPendingCall(int (*call)(void*) noexcept, void* argument) nogil
    void PyErr_SetNone(object kind)

cdef PyObjectArenaAllocator _inner
cdef bint _short = False
cdef bint _told = False


cdef int _raise(void* argument) noexcept:
    if _told:
        return 0
    PyErr_SetNone(MemoryError)
    return -1


cdef void* _allocate(void* context, size_t size) noexcept nogil:
    """Allocates an arena of Python's small objects, from the reserve when the limit is met."""
    global _short
    cdef void* arena = _inner.alloc(context, size)
    cdef rlimit limit
    if arena == NULL and not _short and getrlimit(RLIMIT_AS, &limit) == 0:
        _short = True
        limit.rlim_cur = limit.rlim_max
        setrlimit(RLIMIT_AS, &limit)
        arena = _inner.alloc(context, size)
    # Again with each arena: one that is raised in a destructor is lost.
    if _short and not _told:
        Py_AddPendingCall(_raise, NULL)
    return arena


def watch():
    """From now on, small objects past the soft limit RLIMIT_AS raise it to the hard limit.

    That raises MemoryError in the main thread, soon. Objects of more than 512 bytes do not count.
    """
    if _inner.alloc != NULL:
        return
    PyObject_GetArenaAllocator(&_inner)
    cdef PyObjectArenaAllocator ours = _inner
    ours.alloc = _allocate
    PyObject_SetArenaAllocator(&ours)


def stop():
    """There will be no such MemoryError any more; to be the first thing where one is caught."""
    global _told
    _told = True
