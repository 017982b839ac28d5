"""The zones of a running server: loaded, watched, published.

    compiler_child.py the compiler's process
    batch.py          master files compiled in such processes            -> Outcome
    geo_views.py      the views that JSON zones are served with
    geo_servings.py   what of JSON zones is healthy                      -> GeoServing
    explained.py      what names that explain say of the server and its health
    zone_table.py     how every zone stands, and which files it is from  -> ZoneState
    store.py          a first load: from the cache, or compiled          -> Load
    load_progress.py  the progress of a load, on a terminal
    comparing.py      what a reload looks at: which files are not as they were read
    inotify.py        which files may have changed, at once
    watch.py          which files have changed and settled               -> their stats
    zone_report.py    what the log, status and /health say
    zone_store.py     the zones in use, and when they are read again
    cookies.py        secrets of DNS cookies, a new one each day
    rrl.py            [dns.rrl]
    service.py        all of these as one service                        -> SnapshotPublisher

What is compiled here is published as part of the snapshot.
"""
