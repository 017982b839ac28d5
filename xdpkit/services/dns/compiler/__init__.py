"""Zones, compiled into the arena that the C library answers from.

    chain.py       the NSEC or NSEC3 records of a signed zone            -> NsecChain
    denial.py      which of them prove what                              -> Proof
    tree.py        what exists in a zone, what is delegated              -> Tree
    forest.py      all zones, and where aliases lead through them        -> AliasChain
    images.py      finished sections of replies                          -> Image
    body.py        the bytes of one, record by record
    arena.py       nodes, images and hash table in one file              -> memfd
    compile.py     the child process that does all of that
    view.py        the arena read back in Python                         -> ArenaView
    arena_file.py  the arena followed by its sources: the cache file     -> ArenaFile

``tree.py`` and what builds on it work in memory; only ``arena.py`` and ``arena_file.py`` write.
"""
