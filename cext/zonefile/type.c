// SPDX-License-Identifier: Apache-2.0
#include "zonefile/type.h"

#include <string.h>

#include "zonefile/value.h"

#define NXT_TYPE_MAX 127

/* Mnemonics of IANA's registry, the most frequent first. */
static const struct {
	char name[14];
	uint16_t type;
} types[] = {
	{"A", 1},      {"AAAA", 28},       {"RRSIG", 46},  {"NSEC", 47},   {"NS", 2},
	{"CNAME", 5},  {"TXT", 16},        {"NSEC3", 50},  {"MX", 15},     {"SOA", 6},
	{"DS", 43},    {"PTR", 12},        {"DNSKEY", 48}, {"SRV", 33},    {"CAA", 257},
	{"TLSA", 52},  {"SSHFP", 44},      {"HTTPS", 65},  {"SVCB", 64},   {"NAPTR", 35},
	{"CDS", 59},   {"CDNSKEY", 60},    {"DNAME", 39},  {"SPF", 99},    {"NSEC3PARAM", 51},
	{"HINFO", 13}, {"LOC", 29},        {"RP", 17},     {"URI", 256},   {"MD", 3},
	{"MF", 4},     {"MB", 7},          {"MG", 8},      {"MR", 9},      {"NULL", 10},
	{"WKS", 11},   {"MINFO", 14},      {"AFSDB", 18},  {"X25", 19},    {"ISDN", 20},
	{"RT", 21},    {"NSAP", 22},       {"SIG", 24},    {"KEY", 25},    {"PX", 26},
	{"GPOS", 27},  {"NXT", 30},        {"KX", 36},     {"CERT", 37},   {"A6", 38},
	{"APL", 42},   {"IPSECKEY", 45},   {"DHCID", 49},  {"SMIMEA", 53}, {"HIP", 55},
	{"NINFO", 56}, {"OPENPGPKEY", 61}, {"CSYNC", 62},  {"ZONEMD", 63}, {"NID", 104},
	{"L32", 105},  {"L64", 106},       {"LP", 107},    {"EUI48", 108}, {"EUI64", 109},
	{"AVC", 258},  {"AMTRELAY", 260},  {"TA", 32768},  {"DLV", 32769},
};

uint16_t type_read(const struct token *word)
{
	uint8_t name[sizeof types[0].name] = {0};
	struct token number;
	uint32_t value;

	if (word->length >= sizeof name || word->bytes)
		return 0;
	for (uint32_t i = 0; i < word->length; i++)
		name[i] = value_upper(word->text[i]);
	for (uint32_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (!memcmp(name, types[i].name, sizeof name))
			return types[i].type;
	if (word->length < 5 || memcmp(name, "TYPE", 4))
		return 0;
	number = (struct token){word->text + 4, word->length - 4, 0};
	return value_number(&number, UINT16_MAX, &value) ? (uint16_t)value : 0;
}

/* Adds a type to a sorted list; false if there is no room. */
static bool insert(uint16_t *list, uint32_t *count, uint16_t type)
{
	uint32_t at = *count;

	for (; at && list[at - 1] >= type; at--)
		if (list[at - 1] == type)
			return true;
	if (*count == TYPES_MAX)
		return false;
	memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
	list[at] = type;
	++*count;
	return true;
}

/* One window of a bitmap: the types from `first` to before `end`. Returns its bytes. */
static uint32_t write_window(const uint16_t *first, const uint16_t *end, uint8_t *to)
{
	uint32_t bytes = (end[-1] & 0xff) / 8 + 1;

	to[0] = (uint8_t)(*first >> 8);
	to[1] = (uint8_t)bytes;
	memset(to + 2, 0, bytes);
	for (; first < end; first++)
		to[2 + (*first & 0xff) / 8] |= 0x80 >> (*first & 7);
	return 2 + bytes;
}

/* The types that remain, sorted; -1 for a word that is none. */
static int32_t read_types(struct text *text, uint16_t *list)
{
	uint32_t count = 0;
	struct token word;
	enum token_kind kind;

	while ((kind = token_next(text, &word)) == TOKEN_WORD) {
		uint16_t type = type_read(&word);

		if (!type || !insert(list, &count, type))
			return -1;
	}
	return kind == TOKEN_END ? (int32_t)count : -1;
}

int32_t type_bitmap(struct text *text, uint8_t *to)
{
	uint16_t list[TYPES_MAX];
	int32_t count = read_types(text, list);
	uint32_t length = 0;

	for (int32_t at = 0, end; at < count; at = end) {
		for (end = at + 1; end < count && list[end] >> 8 == list[at] >> 8;)
			end++;
		length += write_window(list + at, list + end, to + length);
	}
	return count < 0 ? -1 : (int32_t)length;
}

int32_t type_bitmap_nxt(struct text *text, uint8_t *to)
{
	uint16_t list[TYPES_MAX];
	int32_t count = read_types(text, list), bytes;

	if (count <= 0 || list[count - 1] > NXT_TYPE_MAX)
		return -1;
	bytes = list[count - 1] / 8 + 1;
	memset(to, 0, (uint32_t)bytes);
	for (int32_t at = 0; at < count; at++)
		to[list[at] / 8] |= 0x80 >> (list[at] & 7);
	return bytes;
}
