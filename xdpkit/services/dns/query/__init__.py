"""``xdpkit query``: the answer to one question, offline, and the reasons; another server's answers.

    query.py        the answer and its reasons                            -> Explanation
    served.py       what it is made from: zones, views, health            -> Served
    geo_reasons.py  how the answer of a JSON zone depends on the client   -> GeoReasons
    compare.py      the same questions to another server: what differs    -> Compared
    peer.py         that server, asked over UDP                           -> Peer
    frequencies.py  whether records are as frequent as by their chances   -> Deviation
    proof_text.py   what a reply's NSEC and NSEC3 records prove, in words

Nothing here is used to answer on the network.
"""
