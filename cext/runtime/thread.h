/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that Python does not know of: no GIL, no signals, a name for top(1), perhaps a CPU; no
 * capabilities, and only the system calls of their loop (runtime/sandbox.h).
 */
#ifndef XDPKIT_THREAD_H
#define XDPKIT_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.h"

struct thread {
	pthread_t id;
	int cpu;           /* pinned there; -1 = anywhere */
	int priority;      /* 1 to 99 under SCHED_FIFO; 0 = as other threads */
	int tid;           /* as in /proc/PID/task; set by the thread */
	char name[16];     /* 15 characters at most: pthread_setname_np(3) */
	int wake_fd;       /* eventfd, readable once the thread shall end */
	int sandbox_errno; /* 0, or the errno for which it may call anything; -1 before it runs */
	uint32_t order, done; /* atomic: what it was asked for; a boolean, it has ended */
};

/* What a thread may be asked for. */
enum thread_order {
	THREAD_RUN,
	THREAD_STOP, /* finish what is there, and end */
	THREAD_PARK, /* end after this turn: somebody else goes on with what is there */
};

/* Starts `entry(argument)` with every signal blocked; returns 0 or an errno. */
static inline int thread_spawn(struct thread *thread, void *(*entry)(void *), void *argument)
{
	struct sched_param parameters = {.sched_priority = thread->priority};
	sigset_t all, before;
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	if (thread->priority) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &parameters);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread->id, &attributes, entry, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

/* First thing in the new thread. A CPU that is not ours to use is no error: it then floats. */
static inline void thread_settle(struct thread *thread, enum sandbox_kind kind)
{
	cpu_set_t set;

	__atomic_store_n(&thread->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	pthread_setname_np(pthread_self(), thread->name);
	if (thread->cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(thread->cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	}
	thread->sandbox_errno = sandbox_enter(kind);
}

static inline enum thread_order thread_order(const struct thread *thread)
{
	return (enum thread_order)__atomic_load_n(&thread->order, __ATOMIC_ACQUIRE);
}

/* Last thing in the thread. */
static inline void thread_end(struct thread *thread)
{
	__atomic_store_n(&thread->done, 1, __ATOMIC_RELEASE);
}

/* Asks it to end, in one way or the other, from another thread. */
static inline void thread_ask(struct thread *thread, enum thread_order order)
{
	uint64_t one = 1;

	__atomic_store_n(&thread->order, order, __ATOMIC_RELEASE);
	if (thread->wake_fd >= 0 && write(thread->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: it is readable already */
}

/*
 * Whether it is no more, by its own end or the kernel's; it is joined then. The C library knows by
 * the thread id that the kernel clears (set_tid_address(2)): no system call.
 */
static inline int thread_gone(const struct thread *thread)
{
	return pthread_tryjoin_np(thread->id, NULL) == 0;
}

static inline int thread_done(const struct thread *thread)
{
	return (int)__atomic_load_n(&thread->done, __ATOMIC_ACQUIRE);
}

#endif
