// SPDX-License-Identifier: Apache-2.0
#include "ntp/interleaved.h"

#include "base/hash.h"

/* No secret is needed: nobody but us chooses the timestamps that are put in. */
static struct ntp_saved *bucket_of(const struct ntp_saved_table *table, uint64_t receive)
{
	uint64_t bucket = table->shift < 64 ? hash_fibonacci(receive >> 1, 64 - table->shift) : 0;

	return table->entries + bucket * NTP_SAVED_BUCKET;
}

static struct ntp_saved *find(const struct ntp_saved_table *table, uint64_t receive)
{
	struct ntp_saved *entry = bucket_of(table, receive);

	for (int i = 0; i < NTP_SAVED_BUCKET; i++)
		if ((entry[i].receive ^ table->salt) == receive)
			return entry + i;
	return NULL;
}

void ntp_saved_open(struct ntp_saved_table *table, void *memory, uint32_t entries)
{
	uint32_t bits = (uint32_t)__builtin_ctz(entries / NTP_SAVED_BUCKET);

	/* Odd like every receive timestamp; era 0 ends just before it (ntp_saved_receive()). */
	*table = (struct ntp_saved_table){.entries = memory, .shift = 64 - bits, .last_receive = 1};
}

void ntp_saved_prefetch(const struct ntp_saved_table *table, uint64_t receive)
{
	__builtin_prefetch(bucket_of(table, receive), 1);
}

void ntp_saved_put(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit)
{
	struct ntp_saved *entry = bucket_of(table, receive), *oldest = entry;
	uint64_t age = 0;

	for (int i = 0; i < NTP_SAVED_BUCKET; i++) {
		uint64_t saved = entry[i].receive ^ table->salt;

		/* Entries from before a salt change look very old, or lie in the future. */
		if (entry[i].transmit == 0 || saved == receive) {
			oldest = entry + i;
			break;
		}
		if (receive - saved > age) {
			age = receive - saved;
			oldest = entry + i;
		}
	}
	*oldest = (struct ntp_saved){receive ^ table->salt, transmit};
}

uint64_t ntp_saved_take(struct ntp_saved_table *table, uint64_t receive)
{
	struct ntp_saved *entry = find(table, receive);
	uint64_t transmit = entry ? entry->transmit : 0;

	if (entry)
		entry->transmit = 0;
	return transmit;
}

void ntp_saved_correct(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit)
{
	struct ntp_saved *entry = find(table, receive);

	if (entry && entry->transmit)
		entry->transmit = transmit;
}

void ntp_saved_forget(struct ntp_saved_table *table, uint64_t random)
{
	table->salt = random & ~1ull;
	table->last_receive = 0;
}
