/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiescent-state-based reclamation (QSBR): readers use the current snapshot without a lock, and
 * the publisher learns when an old one may be freed.
 *
 * Once per loop a reader reports a quiescent state, that it holds no old pointer, by copying
 * `generation` into its own `seen`; 0 means offline (blocked, stopped or dead) and is skipped. The
 * publisher stores the new pointer, raises `generation` and waits, elsewhere and without spinning,
 * for the grace period: until every reader is offline or has seen it. Each `seen` has its own cache
 * line, written only by its reader (and by the publisher for a reader known to be dead).
 */
#ifndef XDPKIT_QSBR_H
#define XDPKIT_QSBR_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

struct snapshot;

/* One reader per queue, one for the UDP listener, and a few for TCP and offline use. */
#define QSBR_READERS (STEER_QUEUES + 8)

struct qsbr_reader {
	_Alignas(64) uint64_t seen;
};

struct qsbr {
	const struct snapshot *current;
	uint64_t generation; /* starts at 1: 0 is "offline" */
	struct qsbr_reader reader[QSBR_READERS];
};

/* The reader holds no snapshot: called before it blocks and when it ends. */
static inline void qsbr_offline(struct qsbr_reader *reader)
{
	__atomic_store_n(&reader->seen, 0, __ATOMIC_RELEASE);
}

/*
 * Back from blocking. The full fence orders our `seen` before the load of `current`: either the
 * publisher sees us online and waits, or we see its new pointer.
 */
static inline const struct snapshot *qsbr_online(struct qsbr *qsbr, struct qsbr_reader *reader)
{
	uint64_t generation = __atomic_load_n(&qsbr->generation, __ATOMIC_ACQUIRE);

	__atomic_store_n(&reader->seen, generation, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&qsbr->current, __ATOMIC_ACQUIRE);
}

/* Once per loop: drops the previous snapshot and returns the one to use until the next call. */
static inline const struct snapshot *qsbr_quiescent_state(struct qsbr *qsbr,
							  struct qsbr_reader *reader)
{
	uint64_t generation = __atomic_load_n(&qsbr->generation, __ATOMIC_ACQUIRE);

	if (generation != reader->seen)
		__atomic_store_n(&reader->seen, generation, __ATOMIC_RELEASE);
	return __atomic_load_n(&qsbr->current, __ATOMIC_ACQUIRE);
}

/* Publisher: replaces the snapshot; returns the generation for qsbr_grace_period_over(). */
static inline uint64_t qsbr_publish(struct qsbr *qsbr, const struct snapshot *snapshot)
{
	__atomic_store_n(&qsbr->current, snapshot, __ATOMIC_RELEASE);
	return __atomic_add_fetch(&qsbr->generation, 1, __ATOMIC_SEQ_CST);
}

/* Publisher: true when no reader can still hold a snapshot from before `generation`. */
static inline bool qsbr_grace_period_over(const struct qsbr *qsbr, uint64_t generation)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (int i = 0; i < QSBR_READERS; i++) {
		uint64_t seen = __atomic_load_n(&qsbr->reader[i].seen, __ATOMIC_ACQUIRE);
		if (seen != 0 && seen < generation)
			return false;
	}
	return true;
}

#endif
