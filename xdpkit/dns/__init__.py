"""DNS: from master files to the arena that ``cext/dns.c`` answers from.

    zonefile.py   one master file, read by dnspython and checked     -> Zone (zone.py)
    chain.py      the NSEC or NSEC3 records of a signed one          -> Chain
    denial.py     which of them prove what                           -> Proof
    tree.py       what exists in a zone, what is delegated           -> Tree
    forest.py     all zones, and where aliases lead through them     -> Chain
    images.py     finished sections of replies                       -> Image
    body.py       the bytes of one, record by record
    arena.py      nodes, images and hash table in one file           -> memfd
    view.py       the arena read back in Python
    compile.py    the child process that does the four above
    store.py      starts the child, checks and owns what it made     -> Arena
    query.py      one question answered offline, and why             -> Explanation
    proof_text.py what a reply's NSEC and NSEC3 records say, in words
    settings.py   keys of [dns] that become bytes                    -> bytes
    cookies.py    secrets of DNS cookies, another one each day       -> Publication
    rrl.py        [dns.rrl], how many answers a source is sent       -> RrlConfig
    limits.py     that, published and read again                     -> Publication

A zone is compiled as a whole: every reply a name can give is made here, so that the data path only
finds it. Names are handled as lower-cased wire format (``bytes``) throughout.
"""
