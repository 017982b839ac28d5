"""DNS: from master files to the arena that ``cext/dns.c`` answers from.

    zonefile.py   one master file, read by dnspython and checked     -> Zone (zone.py)
    tree.py       what exists in a zone, what is delegated           -> Tree
    images.py     finished sections of replies                       -> bytes
    arena.py      nodes, images and hash table in one file           -> memfd
    view.py       the arena read back in Python
    compile.py    the child process that does the four above
    store.py      starts the child, checks and owns what it made     -> Arena
    query.py      one question answered offline, and why             -> Explanation

A zone is compiled as a whole: every reply a name can give is made here, so that the data path only
finds it. Names are handled as lower-cased wire format (``bytes``) throughout.
"""
