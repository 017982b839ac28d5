/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services in C: a row for each of XDPKIT_SERVICES (ebpf/service.h), named service_NAME. The
 * rows are constants that answer.c names one by one, so that the compiler calls, or inlines, their
 * steps directly.
 */
#ifndef XDPKIT_SERVICE_TABLE_H
#define XDPKIT_SERVICE_TABLE_H

#include "dns/service.h"
#include "ntp/service.h"
#include "service/echo.h"
#include "service/service.h"

static const struct service service_ntp = {
	.begin = ntp_begin,
	.end = ntp_end,
};

static const struct service service_dns = {
	.begin = dns_begin,
	.prefetch = dns_prefetch_step,
	.end = dns_end,
};

static const struct service service_echo = {.begin = echo_begin};

/* What the first step of a service left for the others. */
union query {
	struct ntp_query ntp;
	struct dns_query dns;
};

#endif
