"""A zone, compiled into the arena that the C library answers from.

    chain.py       the NSEC or NSEC3 records of a signed zone            -> NsecChain
    denial.py      which of them prove what                              -> Proof
    tree.py        what exists in a zone, what is delegated              -> Tree
    images.py      finished sections of replies                          -> Image
    body.py        the bytes of one, record by record
    arena.py       nodes, images and hash table in one file              -> memfd
    zone_arena.py  all of that, for one zone
    compile.py     the child process that does it for many
    view.py        the arena read back in Python                         -> ArenaView
    arena_file.py  the arena followed by its sources: the cache file     -> CachedZone

``tree.py`` and what builds on it work in memory; only ``arena.py`` and ``arena_file.py`` write.
"""
