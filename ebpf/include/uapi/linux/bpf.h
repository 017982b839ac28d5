/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bcc carries its own copy of the UAPI header, newer than many systems'. */
#include <bcc/bpf.h>
