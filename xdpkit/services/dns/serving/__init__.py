"""The zones of a running server: loaded, watched, published.

    store.py          reads the cached arena or starts the compiler      -> Arena
    load_progress.py  the progress of a load, on a terminal
    watch.py          which files changed                                -> names
    zone_store.py     the zones in use, and when they are read again
    cookies.py        secrets of DNS cookies, a new one each day
    rrl.py            [dns.rrl]
    service.py        all of these as one service                        -> SnapshotPublisher

What is compiled here is published as part of the snapshot.
"""
