/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. */
#ifndef XDPKIT_FUZZ_H
#define XDPKIT_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

/* libFuzzer keeps the input and says which it was when a target aborts. */
#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

#endif
