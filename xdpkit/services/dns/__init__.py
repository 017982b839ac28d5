"""DNS: from master files to the arenas that ``cext/dns/reply.c`` answers from.

    zonefile/  master files, read and checked                        -> Zone
    compiler/  a zone, compiled into its arena, and its cache file   -> CachedZone
    serving/   the zones of a running server: loaded, watched        -> SnapshotPublisher
    query/     one question answered offline, with the reasons       -> Explanation

Each sub-folder lists its files. The keys of [dns] are in ``xdpkit.config``. A zone is compiled as a
whole: every reply that a name can get is made here, so that the data plane only looks it up. Names
are lower-cased wire format (``bytes``) throughout.
"""
