"""A zone, compiled into the arena that the C library answers from.

    chain.py       whether a signed zone has NSEC or NSEC3               -> ChainKind
    tree.py        what exists in a zone, what is delegated, the proofs  -> Tree, Denial
    zone_arena.py  the arena of one zone                                 -> memfd
    compile.py     the child process that does it for many
    process.py     what that process and the server that starts it agree on
    arena.py       the layout of an arena
    view.py        the arena read back in Python                         -> ArenaView
    arena_file.py  the arena followed by its sources: the cache file     -> CachedZone
    view_file.py   the view that arenas of JSON zones share: a file beside them

What is done for every name is not in Python: ``_core/_zone_tree.pyx``, ``_zone_denial.pyx`` and
``_zone_images.pyx`` decide what a node has, ``cext/compile/`` makes the bytes.
"""
