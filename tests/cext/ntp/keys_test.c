// SPDX-License-Identifier: Apache-2.0
/*
 * What Python cannot test of cext/ntp/keys.c: that a digest is made and checked without
 * allocations, locks, or system calls, that the table is position independent, and that it is wiped
 * before its memory is freed. The counting functions here interpose those of the C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/seccomp.h>

#include "check.h"
#include "ntp/keys.h"

/* glibc's implementations, under the names it exports for interposition. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static long allocations, frees, locks;
static const uint8_t *watched;
static size_t watched_bytes;
static bool wiped;

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	allocations++;
	return __libc_realloc(memory, size);
}

void free(void *memory)
{
	frees++;
	if (memory && memory == watched) {
		wiped = true;
		for (size_t i = 0; i < watched_bytes; i++)
			wiped &= !watched[i];
	}
	__libc_free(memory);
}

/* Counts, then calls the next library's function of that name. */
#define COUNTED_LOCK(name, type)                                   \
	int name(type *lock)                                       \
	{                                                          \
		static int (*next)(type *);                        \
                                                                   \
		locks++;                                           \
		if (!next)                                         \
			*(void **)&next = dlsym(RTLD_NEXT, #name); \
		return next(lock);                                 \
	}

COUNTED_LOCK(pthread_mutex_lock, pthread_mutex_t)
COUNTED_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)

#define SECRET_BYTES 32

static const uint8_t secret[SECRET_BYTES] = "a secret that is 32 bytes long..";

static size_t secret_bytes(enum ntp_algorithm algorithm)
{
	return algorithm == NTP_AES128 ? 16 : SECRET_BYTES;
}

/* One key per algorithm, with the algorithm's number plus 1 as its id. */
static struct ntp_keys *one_of_each(struct ntp_digest *digest)
{
	struct ntp_keys *keys =
		ntp_keys_new(NTP_ALGORITHM_COUNT, NTP_ALGORITHM_COUNT * SECRET_BYTES);

	CHECK(keys);
	for (enum ntp_algorithm i = 0; i < NTP_ALGORITHM_COUNT; i++)
		CHECK(!ntp_keys_add(keys, digest, i + 1, i, secret, secret_bytes(i), i));
	CHECK(ntp_keys_add(keys, digest, 99, NTP_MD5, secret, 1, 0) < 0);
	return keys;
}

/* Makes and checks a digest over `length` bytes; a flipped bit must make the check fail. */
static void exchange(struct ntp_digest *digest, const struct ntp_keys *keys, uint32_t id,
		     uint8_t version, uint32_t length)
{
	uint8_t message[1072] = {0}, mac[NTP_DIGEST_MAX];
	const struct ntp_key *key = ntp_keys_find(keys, id);
	uint32_t bytes;

	CHECK(key && key->counter == id - 1);
	message[length - 1] = version;
	bytes = ntp_digest_make(digest, key, version, message, length, mac);
	CHECK(bytes && bytes == ntp_digest_bytes(key->algorithm, version));
	CHECK(ntp_digest_check(digest, key, version, message, length, mac, bytes));
	message[length / 2] ^= 1;
	CHECK(!ntp_digest_check(digest, key, version, message, length, mac, bytes));
	CHECK(!ntp_digest_check(digest, key, version, message, length, mac, bytes - 4));
}

static void every_key(struct ntp_digest *digest, const struct ntp_keys *keys)
{
	for (uint32_t id = 1; id <= NTP_ALGORITHM_COUNT; id++)
		for (uint32_t length = 48; length <= 1072; length += 256) {
			exchange(digest, keys, id, 3, length);
			exchange(digest, keys, id, 4, length);
		}
	CHECK(!ntp_keys_find(keys, 0) && !ntp_keys_find(keys, 99));
}

static void test_moved(struct ntp_digest *digest, const struct ntp_keys *keys)
{
	struct ntp_keys *copy = malloc(keys->size);

	CHECK(copy);
	memcpy(copy, keys, keys->size);
	every_key(digest, copy);
	free(copy);
}

static void test_wiped(struct ntp_digest *digest)
{
	struct ntp_keys *keys = one_of_each(digest);

	watched = (const uint8_t *)keys;
	watched_bytes = keys->size;
	CHECK(memmem(keys, keys->size, secret, SECRET_BYTES));
	ntp_keys_free(keys);
	CHECK(wiped);
}

int main(void)
{
	static const char quiet[] = "quiet\n";
	struct ntp_digest digest, none = {0};
	struct ntp_keys *keys;

	ntp_digest_close(&none);
	ntp_keys_free(NULL);
	CHECK(!ntp_keys_new(UINT32_MAX, 0) && !ntp_keys_new(1, SIZE_MAX / 2));
	CHECK(!ntp_digest_open(&digest));
	keys = one_of_each(&digest);
	CHECK(allocations && frees && locks);
	test_moved(&digest, keys);
	test_wiped(&digest);

	/* The packet path; from here on, any system call but read, write, or exit is fatal. */
	every_key(&digest, keys);
	allocations = frees = locks = 0;
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	for (int i = 0; i < 100; i++)
		every_key(&digest, keys);
	CHECK(!allocations && !frees && !locks);
	syscall(SYS_exit, write(1, quiet, sizeof quiet - 1) < 0);
}
