/* Prints the messages of test_ethtool_ioctls.py, built from the kernel's own header. */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
/* Headers followed by their data. */
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

/* Name, size, and the bytes up to the last one that is not 0. */
static void show(const char *name, const void *at, size_t size)
{
	const unsigned char *byte = at;
	size_t end = size;

	while (end > 0 && byte[end - 1] == 0)
		end--;
	printf("%s %zu:", name, size);
	for (size_t i = 0; i < end; i++)
		printf("%02x", byte[i]);
	printf("\n");
}

static void facts(void)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_ringparam rings = {.cmd = ETHTOOL_GRINGPARAM};
	struct ethtool_coalesce coalesce = {.cmd = ETHTOOL_GCOALESCE};
	struct ethtool_ts_info stamps = {.cmd = ETHTOOL_GET_TS_INFO, .phc_index = -1};
	struct {
		struct ethtool_perm_addr head;
		unsigned char room[32];
	} address = {{.cmd = ETHTOOL_GPERMADDR, .size = 32}, {0}};

	show("driver?", &driver, sizeof(driver));
	strcpy(driver.driver, "ixgbe");
	strcpy(driver.version, "6.1");
	strcpy(driver.fw_version, "0x8000");
	strcpy(driver.bus_info, "0000:01:00.0");
	show("driver", &driver, sizeof(driver));
	show("channels?", &channels, sizeof(channels));
	channels = (struct ethtool_channels){ETHTOOL_GCHANNELS, 1, 2, 3, 4, 5, 6, 7, 8};
	show("channels", &channels, sizeof(channels));
	channels = (struct ethtool_channels){
		.cmd = ETHTOOL_SCHANNELS,
		.rx_count = 5,
		.tx_count = 6,
		.other_count = 7,
		.combined_count = 8,
	};
	show("channels!", &channels, sizeof(channels));
	show("rings?", &rings, sizeof(rings));
	rings = (struct ethtool_ringparam){
		.cmd = ETHTOOL_GRINGPARAM,
		.rx_max_pending = 4096,
		.tx_max_pending = 2048,
		.rx_pending = 512,
		.tx_pending = 256,
	};
	show("rings", &rings, sizeof(rings));
	show("coalescing?", &coalesce, sizeof(coalesce));
	coalesce = (struct ethtool_coalesce){
		.cmd = ETHTOOL_GCOALESCE,
		.rx_coalesce_usecs = 10,
		.rx_max_coalesced_frames = 20,
		.tx_coalesce_usecs = 30,
		.tx_max_coalesced_frames = 40,
		.use_adaptive_tx_coalesce = 1,
	};
	show("coalescing", &coalesce, sizeof(coalesce));
	show("stamps?", &stamps, sizeof(stamps));
	stamps.so_timestamping = 0x5f;
	stamps.phc_index = 3;
	stamps.tx_types = 3;
	stamps.rx_filters = 0x8003;
	show("stamps", &stamps, sizeof(stamps));
	show("address?", &address, sizeof(address));
	address.head.size = 6;
	memcpy(address.room, "\x02\x11\x22\x33\x44\x55", 6);
	show("address", &address, sizeof(address));
}

static void offloads(void)
{
	struct {
		struct ethtool_sset_info head;
		__u32 length;
	} __attribute__((packed)) count = {
		{.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}, 0};
	struct {
		struct ethtool_gstrings head;
		char names[40][ETH_GSTRING_LEN];
	} strings = {{ETHTOOL_GSTRINGS, ETH_SS_FEATURES, 40}, {{0}}};
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block blocks[2];
	} got = {{ETHTOOL_GFEATURES, 2}, {{0}}};
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block blocks[2];
	} set = {{ETHTOOL_SFEATURES, 2}, {{0}, {0}}};

	show("count?", &count, sizeof(count));
	count.length = 40;
	show("count", &count, sizeof(count));
	show("names?", &strings, sizeof(strings));
	strcpy(strings.names[1], "rx-lro");
	strcpy(strings.names[33], "rx-gro-hw");
	strcpy(strings.names[39], "loopback");
	show("names", &strings, sizeof(strings));
	show("features?", &got, sizeof(got));
	got.blocks[0] = (struct ethtool_get_features_block){2, 2, 2, 0};
	got.blocks[1] = (struct ethtool_get_features_block){0x82, 0x82, 0x80, 0x80};
	show("features", &got, sizeof(got));
	set.blocks[1] = (struct ethtool_set_features_block){2, 2};
	show("feature-on!", &set, sizeof(set));
	set.blocks[1].requested = 0;
	show("feature-off!", &set, sizeof(set));
}

static void hashing(void)
{
	struct {
		struct ethtool_rxfh head;
		__u32 table[4];
		unsigned char key[8];
	} rss = {.head = {.cmd = ETHTOOL_GRSSH}};
	struct ethtool_rxnfc rxnfc;

	/* Not by an initializer: that leaves padding as it was. */
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_GRXRINGS;
	show("rss-sizes?", &rss.head, sizeof(rss.head));
	rss.head.indir_size = 4;
	rss.head.key_size = 8;
	show("rss?", &rss, sizeof(rss));
	rss.head.hfunc = 1;
	show("rss-sizes", &rss.head, sizeof(rss.head));
	for (int i = 0; i < 4; i++)
		rss.table[i] = 3 - i;
	memcpy(rss.key, "\1\2\3\4\5\6\7\10", 8);
	show("rss", &rss, sizeof(rss));
	rss.head = (struct ethtool_rxfh){.cmd = ETHTOOL_SRSSH};
	show("rss-default!", &rss.head, sizeof(rss.head));
	rss.head.indir_size = 4;
	show("rss!", &rss, offsetof(struct ethtool_rxfh, rss_config) + sizeof(rss.table));
	show("queues?", &rxnfc, sizeof(rxnfc));
	rxnfc.data = 16;
	show("queues", &rxnfc, sizeof(rxnfc));
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_GRXFH;
	rxnfc.flow_type = UDP_V6_FLOW;
	show("hash?", &rxnfc, sizeof(rxnfc));
	rxnfc.data = RXH_IP_SRC | RXH_IP_DST;
	show("hash", &rxnfc, sizeof(rxnfc));
}

static struct ethtool_rx_flow_spec udp4(void)
{
	struct ethtool_rx_flow_spec spec = {.flow_type = UDP_V4_FLOW};

	inet_pton(AF_INET, "192.0.2.1", &spec.h_u.udp_ip4_spec.ip4dst);
	spec.h_u.udp_ip4_spec.ip4src = htonl(1);
	spec.h_u.udp_ip4_spec.pdst = htons(53);
	spec.m_u.udp_ip4_spec.ip4dst = htonl(0xffffffff);
	spec.m_u.udp_ip4_spec.ip4src = htonl(3);
	spec.m_u.udp_ip4_spec.pdst = htons(0xffff);
	spec.ring_cookie = 5;
	spec.location = 31;
	return spec;
}

static struct ethtool_rx_flow_spec udp6(void)
{
	struct ethtool_rx_flow_spec spec = {.flow_type = UDP_V6_FLOW};

	inet_pton(AF_INET6, "2001:db8::1", &spec.h_u.udp_ip6_spec.ip6dst);
	spec.h_u.udp_ip6_spec.ip6src[3] = htonl(2);
	spec.h_u.udp_ip6_spec.pdst = htons(123);
	memset(&spec.m_u.udp_ip6_spec.ip6dst, 0xff, 16);
	spec.m_u.udp_ip6_spec.ip6src[3] = htonl(3);
	spec.m_u.udp_ip6_spec.pdst = htons(0xffff);
	spec.ring_cookie = RX_CLS_FLOW_DISC;
	spec.location = RX_CLS_LOC_ANY;
	return spec;
}

static void rules(void)
{
	struct ethtool_rxnfc rxnfc;
	struct ethtool_rxnfc *all = calloc(1, sizeof(*all) + 2 * sizeof(__u32));
	size_t all_size = sizeof(*all) + 2 * sizeof(__u32);

	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_GRXCLSRLCNT;
	show("rule-count?", &rxnfc, sizeof(rxnfc));
	rxnfc.rule_cnt = 2;
	rxnfc.data = 64 | RX_CLS_LOC_SPECIAL;
	show("rule-count", &rxnfc, sizeof(rxnfc));
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = 2;
	show("all-rules?", all, all_size);
	all->data = 64;
	all->rule_locs[0] = 63;
	all->rule_locs[1] = 31;
	show("all-rules", all, all_size);
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_GRXCLSRULE;
	rxnfc.fs.location = 31;
	show("rule-31?", &rxnfc, sizeof(rxnfc));
	rxnfc.fs = udp4();
	show("rule-31", &rxnfc, sizeof(rxnfc));
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_GRXCLSRULE;
	rxnfc.fs.location = 63;
	show("rule-63?", &rxnfc, sizeof(rxnfc));
	rxnfc.fs = udp6();
	rxnfc.fs.location = 63;
	show("rule-63", &rxnfc, sizeof(rxnfc));
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_SRXCLSRLINS;
	rxnfc.fs = udp4();
	show("insert4!", &rxnfc, sizeof(rxnfc));
	rxnfc.fs = udp6();
	show("insert6!", &rxnfc, sizeof(rxnfc));
	rxnfc.fs.location = 63;
	show("inserted6", &rxnfc, sizeof(rxnfc));
	memset(&rxnfc, 0, sizeof(rxnfc));
	rxnfc.cmd = ETHTOOL_SRXCLSRLDEL;
	rxnfc.fs.location = 31;
	show("delete!", &rxnfc, sizeof(rxnfc));
	free(all);
}

int main(void)
{
	facts();
	offloads();
	hashing();
	rules();
	return 0;
}
