"""DNS: from master files to the arena that ``cext/dns/reply.c`` answers from.

    sources.py    files as they were read, and whether they still are  -> Source
    zonefile.py   one master file, read and checked                  -> Zone (zone.py)
    records.py    its records one by one, and which are refused
    master_file.py  dnspython's reader, and where each record began
    plain_lines.py  the lines that most of a large one is made of
    chain.py      the NSEC or NSEC3 records of a signed one          -> Chain
    denial.py     which of them prove what                           -> Proof
    tree.py       what exists in a zone, what is delegated           -> Tree
    forest.py     all zones, and where aliases lead through them     -> Chain
    images.py     finished sections of replies                       -> Image
    body.py       the bytes of one, record by record
    arena.py      nodes, images and hash table in one file           -> memfd
    view.py       the arena read back in Python
    compile.py    the child process that does all of that
    arena_file.py the arena with its sources behind it: the cache    -> ArenaFile
    store.py      takes what is kept or starts the child             -> Arena
    load_progress.py  how far that is, on a terminal
    watch.py      which files changed                                -> names
    zone_store.py loads, publishes, reloads                          -> SnapshotPublisher
    query.py      one question answered offline, and why             -> Explanation
    proof_text.py what a reply's NSEC and NSEC3 records say, in words
    settings.py   keys of [dns] that become bytes                    -> bytes
    cookies.py    secrets of DNS cookies, another one each day       -> SnapshotPublisher
    rrl.py        [dns.rrl], how many answers a source is sent       -> RrlConfig
    limits.py     that, published and read again                     -> SnapshotPublisher

A zone is compiled as a whole: every reply a name can give is made here, so that the data path only
finds it. Names are handled as lower-cased wire format (``bytes``) throughout.
"""
