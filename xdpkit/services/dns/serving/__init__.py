"""The zones of a running server: loaded, watched, published.

    store.py          reads the cached arena or starts the compiler      -> Arena
    load_progress.py  the progress of a load, on a terminal
    watch.py          which files changed                                -> names
    zone_store.py     loads, publishes, reloads                          -> SnapshotPublisher
    cookies.py        secrets of DNS cookies, a new one each day         -> SnapshotPublisher
    rrl.py            [dns.rrl], published and reloaded                     -> SnapshotPublisher

What is compiled here is published as part of the snapshot.
"""
