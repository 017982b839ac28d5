/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the fuzz targets. */
#ifndef XDPKIT_FUZZ_H
#define XDPKIT_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

/* When a target aborts, libFuzzer saves the input and names it. */
#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

#endif
