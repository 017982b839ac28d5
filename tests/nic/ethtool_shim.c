/*
 * Preloaded into ethtool: passes its requests to a test instead of the kernel, over the socket that
 * ETHTOOL_SHIM names. Netlink is refused, so that all requests are ioctls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int real_socket(int domain, int type, int protocol)
{
	int (*next)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");

	return next(domain, type, protocol);
}

int socket(int domain, int type, int protocol)
{
	if (domain == AF_NETLINK) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return real_socket(domain, type, protocol);
}

/* The size of a command's structure; 0 for commands that no test needs. */
static unsigned int size_of(const void *at)
{
	const struct ethtool_rxnfc *rxnfc = at;
	const struct ethtool_rxfh *rxfh = at;
	unsigned int slots;

	switch (rxnfc->cmd) {
	case ETHTOOL_GCHANNELS:
	case ETHTOOL_SCHANNELS:
		return sizeof(struct ethtool_channels);
	case ETHTOOL_GSSET_INFO:
		return sizeof(struct ethtool_sset_info) + sizeof(__u32);
	case ETHTOOL_GSTRINGS:
		return sizeof(struct ethtool_gstrings) +
		       ((const struct ethtool_gstrings *)at)->len * ETH_GSTRING_LEN;
	case ETHTOOL_GFEATURES:
		return sizeof(struct ethtool_gfeatures) +
		       ((const struct ethtool_gfeatures *)at)->size *
			       sizeof(struct ethtool_get_features_block);
	case ETHTOOL_SFEATURES:
		return sizeof(struct ethtool_sfeatures) +
		       ((const struct ethtool_sfeatures *)at)->size *
			       sizeof(struct ethtool_set_features_block);
	case ETHTOOL_GRSSH:
	case ETHTOOL_SRSSH:
		slots = rxfh->indir_size == ETH_RXFH_INDIR_NO_CHANGE ? 0 : rxfh->indir_size;
		return sizeof(*rxfh) + slots * sizeof(__u32) + rxfh->key_size;
	case ETHTOOL_GRXCLSRLALL:
		return sizeof(*rxnfc) + rxnfc->rule_cnt * sizeof(__u32);
	case ETHTOOL_GRXRINGS:
	case ETHTOOL_GRXCLSRLCNT:
	case ETHTOOL_GRXCLSRULE:
	case ETHTOOL_SRXCLSRLINS:
	case ETHTOOL_SRXCLSRLDEL:
		return sizeof(*rxnfc);
	default:
		return 0;
	}
}

static int forward(void *structure, unsigned int size)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int number = EIO;
	int fd = real_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char answer[8192];
	ssize_t got = -1;

	strncpy(to.sun_path, getenv("ETHTOOL_SHIM"), sizeof(to.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, structure, size, 0) == (ssize_t)size)
		got = recv(fd, answer, sizeof(answer), 0);
	close(fd);
	if (got == (ssize_t)(sizeof(number) + size)) {
		memcpy(&number, answer, sizeof(number));
		memcpy(structure, answer + sizeof(number), size);
	}
	errno = number;
	return number ? -1 : 0;
}

int ioctl(int fd, unsigned long number, ...)
{
	va_list arguments;
	struct ifreq *request;
	unsigned int size;

	(void)fd;
	va_start(arguments, number);
	request = va_arg(arguments, struct ifreq *);
	va_end(arguments);
	size = number == SIOCETHTOOL ? size_of(request->ifr_data) : 0;
	if (size == 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return forward(request->ifr_data, size);
}
