# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Limits and sizes that the C code fixes, under the names that they have there."""

from libc.stdint cimport uint64_t

cdef extern from "base/hash.h" nogil:
    const uint64_t c_hash_factor "HASH_FACTOR"

cdef extern from "base/siphash.h" nogil:
    enum:
        c_siphash_key_bytes "SIPHASH_KEY_BYTES"

cdef extern from "dns/compose.h" nogil:
    enum:
        c_dns_aliases_max "DNS_ALIASES_MAX"
        c_dns_udp_min "DNS_UDP_MIN"

cdef extern from "dns/settings.h" nogil:
    enum:
        c_dns_cookie_secrets "DNS_COOKIE_SECRETS"
        c_dns_agent_max "DNS_AGENT_MAX"
        c_dns_nsid_max "DNS_NSID_MAX"
        c_dns_text_max "DNS_TEXT_MAX"
        c_dns_status_max "DNS_STATUS_MAX"

cdef extern from "geo/choice.h" nogil:
    enum:
        c_geo_hosts_max "GEO_HOSTS_MAX"

cdef extern from "runtime/access.h" nogil:
    enum:
        c_access_denied "ACCESS_DENIED"
        c_access_allowed "ACCESS_ALLOWED"
        c_access_no_route "ACCESS_NO_ROUTE"

cdef extern from "runtime/phc.h" nogil:
    enum:
        c_phc_rate_bits "PHC_RATE_BITS"
    const uint64_t c_phc_rate_max "PHC_RATE_MAX"

cdef extern from "steer.h" nogil:
    enum:
        c_steer_queues "STEER_QUEUES"
        c_chunk "XDPKIT_CHUNK"

cdef extern from "xdp/worker.h" nogil:
    enum:
        c_worker_batch "WORKER_BATCH"

cdef extern from "xdp/xsk.h" nogil:
    enum:
        c_xsk_frames "XSK_FRAMES"

cdef extern from *:
    """
    #include <stddef.h>
    #include "zone/index.h"
    #include "zone/zone.h"

    enum {
        ARENA_CHECKSUM_AT = offsetof(struct zone_arena, checksum),
        ARENA_SLOT_AT = offsetof(struct zone_arena, slot),
    };
    """
    const uint64_t c_zone_magic "ZONE_MAGIC"
    enum:
        ARENA_CHECKSUM_AT
        ARENA_SLOT_AT
        c_zone_version "ZONE_VERSION"
        c_zone_unit "ZONE_UNIT"
        c_zone_slack "ZONE_SLACK"
        c_zone_slots "ZONE_SLOTS"
        c_zone_fill "ZONE_FILL"
        c_zone_index_nodes "ZONE_INDEX_NODES"
        c_zone_iterations_max "ZONE_ITERATIONS_MAX"
        c_zone_node_cut "ZONE_NODE_CUT"
        c_zone_node_alias "ZONE_NODE_ALIAS"
        c_zone_node_dname "ZONE_NODE_DNAME"
        c_zone_node_geo "ZONE_NODE_GEO"
        c_zone_node_choice "ZONE_NODE_CHOICE"
        c_zone_type_choice "ZONE_TYPE_CHOICE"
        c_zone_kind_noerror "ZONE_KIND_NOERROR"
        c_zone_kind_nodata "ZONE_KIND_NODATA"
        c_zone_kind_nxdomain "ZONE_KIND_NXDOMAIN"
        c_zone_kind_referral "ZONE_KIND_REFERRAL"
        c_zone_kind_truncated "ZONE_KIND_TRUNCATED"

HASH_FACTOR = c_hash_factor
SIPHASH_KEY_BYTES = c_siphash_key_bytes
DNS_ALIASES_MAX = c_dns_aliases_max
DNS_UDP_MIN = c_dns_udp_min
DNS_COOKIE_SECRETS = c_dns_cookie_secrets
DNS_AGENT_MAX = c_dns_agent_max
DNS_NSID_MAX = c_dns_nsid_max
DNS_TEXT_MAX = c_dns_text_max
DNS_STATUS_MAX = c_dns_status_max
GEO_HOSTS_MAX = c_geo_hosts_max
ACCESS_DENIED = c_access_denied
ACCESS_ALLOWED = c_access_allowed
ACCESS_NO_ROUTE = c_access_no_route
PHC_RATE_BITS = c_phc_rate_bits
PHC_RATE_MAX = c_phc_rate_max
STEER_QUEUES = c_steer_queues
WORKER_BATCH = c_worker_batch
# Of the memory that an AF_XDP socket shares with the kernel.
UMEM_BYTES = c_xsk_frames * c_chunk

ZONE_MAGIC = c_zone_magic
ZONE_VERSION = c_zone_version
ZONE_UNIT = c_zone_unit
ZONE_SLACK = c_zone_slack
ZONE_SLOTS = c_zone_slots
ZONE_FILL = c_zone_fill
ZONE_INDEX_NODES = c_zone_index_nodes
ZONE_ITERATIONS_MAX = c_zone_iterations_max
ZONE_NODE_CUT = c_zone_node_cut
ZONE_NODE_ALIAS = c_zone_node_alias
ZONE_NODE_DNAME = c_zone_node_dname
ZONE_NODE_GEO = c_zone_node_geo
ZONE_NODE_CHOICE = c_zone_node_choice
ZONE_TYPE_CHOICE = c_zone_type_choice
ZONE_KIND_NOERROR = c_zone_kind_noerror
ZONE_KIND_NODATA = c_zone_kind_nodata
ZONE_KIND_NXDOMAIN = c_zone_kind_nxdomain
ZONE_KIND_REFERRAL = c_zone_kind_referral
ZONE_KIND_TRUNCATED = c_zone_kind_truncated

# Where a field of these structs is, in bytes.
ZONE_ARENA_CHECKSUM_AT = ARENA_CHECKSUM_AT
ZONE_ARENA_SLOT_AT = ARENA_SLOT_AT
