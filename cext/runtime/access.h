/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask a service: a prefix map (admit/prefix_map.h) with these values, made by
 * xdpkit/services/access_list.py. A service without one, the pointer NULL, answers everybody.
 */
#ifndef XDPKIT_ACCESS_H
#define XDPKIT_ACCESS_H

#include "admit/prefix_map.h"
#include "service.h"

enum access {
	ACCESS_DENIED = 0,
	ACCESS_ALLOWED = 1,
	ACCESS_NO_ROUTE = 2, /* allowed, but this host sends nothing there: route_check */
};

/* VERDICT_PENDING, or why the source gets no answer: `denied` where the list says so. */
static inline enum verdict access_check(const struct prefix_map *access, const uint8_t *source,
					uint8_t ip_version, enum verdict denied)
{
	uint16_t value = prefix_map_value(access, source, ip_version);

	if (value == ACCESS_ALLOWED)
		return VERDICT_PENDING;
	return value == ACCESS_NO_ROUTE ? VERDICT_no_route : denied;
}

#endif
