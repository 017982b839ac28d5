"""DNS: from master files to the arena that ``cext/dns/reply.c`` answers from.

    zonefile/  master files, read and checked                        -> Zone
    compiler/  zones, compiled into one arena with its cache file    -> ArenaFile
    serving/   the arena of a running server: loaded, watched        -> SnapshotPublisher
    query/     one question answered offline, with the reasons       -> Explanation

Each sub-folder lists its files. The keys of [dns] are in ``xdpkit.config``. A zone is compiled as a
whole: every reply that a name can get is made here, so that the data plane only looks it up. Names
are lower-cased wire format (``bytes``) throughout.
"""
