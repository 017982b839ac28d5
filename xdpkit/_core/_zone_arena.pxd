from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "compile/body.h" nogil:
    ctypedef enum body_section "enum body_section":
        BODY_ANSWER
        BODY_AUTHORITY
        BODY_ADDITIONAL
    ctypedef enum zone_kind "enum zone_kind":
        ZONE_KIND_NOERROR
        ZONE_KIND_NODATA
        ZONE_KIND_NXDOMAIN
        ZONE_KIND_REFERRAL
        ZONE_KIND_TRUNCATED
    cdef struct names_c "names":
        uint64_t seed
    cdef struct body_question:
        const uint8_t *name
        uint32_t length
        bint shared
        bint secure
    cdef struct body_record:
        const uint8_t *owner
        uint32_t owner_length
        uint16_t type
        uint32_t ttl
        const uint8_t *rdata
        uint32_t length
    cdef struct body:
        names_c names
        bint secure
        uint64_t length
    cdef struct body_kind:
        zone_kind kind
        uint8_t rcode
        bint authoritative
    int body_begin(body *b, const body_question *question)
    int body_add(body *b, body_section section, const body_record *record)
    void body_begin_optional(body *b)
    bint body_is_trimmed(const body *b)
    uint32_t body_end(body *b)

cdef extern from "compile/arena.h" nogil:
    enum:
        ZONE_NODE_APEX
        ZONE_NODE_CUT
        ZONE_NODE_ALIAS
        ZONE_NODE_DNAME
        ZONE_NODE_UNPROVEN
        ZONE_NODE_GEO
        ZONE_NODE_CHOICE
    cdef struct zone_arena:
        uint64_t size
        uint32_t serial
        uint32_t names
        uint32_t nxdomain
        uint32_t nodata
        uint32_t chain
        uint32_t links
        uint32_t hashing
        uint32_t geo
    cdef struct zone_denial:
        uint32_t match
        uint32_t cover
        uint32_t provable
    cdef struct arena:
        int fd
        int error
        bint too_large
        uint64_t start
        uint64_t flushed
        zone_arena *head
        size_t head_size
        uint8_t *buffer
        size_t used
    cdef struct arena_node_c "arena_node":
        const uint8_t *name
        uint32_t length
        uint8_t flags
        uint16_t types
        uint32_t fallback
        const zone_denial *denial
    void arena_open(arena *a, int fd, uint64_t start, uint32_t nodes, uint64_t seed)
    void arena_close(arena *a)
    uint64_t arena_size(const arena *a)
    uint32_t arena_put(arena *a, const void *data, size_t length)
    uint32_t arena_part(arena *a, const uint8_t *key, uint32_t key_length, const uint8_t *labels,
                        uint32_t labels_length)
    void arena_part_record(arena *a, const body_record *record)
    uint64_t arena_part_end(arena *a)
    uint32_t arena_image(arena *a, const body *b, uint32_t size, const body_kind *kind)
    void arena_set_secure(arena *a, uint32_t image, uint32_t secure)
    uint32_t arena_node(arena *a, const arena_node_c *node)
    void arena_add_type(arena *a, uint16_t type, uint32_t image)
    void arena_add_choice(arena *a, uint16_t type, uint32_t choice)
    void arena_set_fallback(arena *a, uint32_t image)
    void arena_set_wildcard(arena *a, uint32_t node, uint32_t wildcard)
    void arena_set_provable(arena *a, uint32_t node, uint32_t provable)
    void arena_end(arena *a)
    void arena_write(arena *a)
