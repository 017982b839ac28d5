/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NIC's clock (PTP hardware clock, /dev/ptpN) against CLOCK_TAI: a straight line through recent
 * readings of both. The control plane fits it (xdpkit/nic/os/phc_fit.py) about once a second and
 * publishes it in the snapshot; it is immutable here.
 */
#ifndef XDPKIT_PHC_H
#define XDPKIT_PHC_H

#include <stdint.h>

/*
 * A stamp farther than this from the last reading is not converted: eight readings were missed, or
 * a clock was set. 2^33 ns is 8.6 s.
 */
#define PHC_REACH_NS (1ll << 33)

/* Fractional bits of the rate: one step is 2.3e-10, or 2 ns at the end of the reach. */
#define PHC_RATE_BITS 32

/*
 * The largest rate, 1/16 either way, as far as igb's clock can be adjusted (ptp_clock_info.max_adj,
 * 6.2 %): times the reach it fits a signed 64-bit number.
 */
#define PHC_RATE_MAX (1ll << 28)

struct phc_map {
	uint64_t phc_ns; /* the NIC's clock at the last reading */
	uint64_t tai_ns; /* CLOCK_TAI at the same instant; 0 = no map */
	int64_t rate;    /* nanoseconds of TAI per NIC nanosecond, minus 1, times 2^32 */
};

_Static_assert(PHC_REACH_NS <= INT64_MAX / PHC_RATE_MAX, "phc_to_tai multiplies them");

/* A NIC stamp in CLOCK_TAI; 0 when there is no stamp, or no map that reaches it. */
static inline uint64_t phc_to_tai(const struct phc_map *map, uint64_t stamp_ns)
{
	int64_t after = (int64_t)(stamp_ns - map->phc_ns);

	if (!stamp_ns || !map->tai_ns || after < -PHC_REACH_NS || after > PHC_REACH_NS)
		return 0;
	return map->tai_ns + (uint64_t)(after + (after * map->rate >> PHC_RATE_BITS));
}

#endif
