"""``xdpkit query``: the answer to one question, offline, and the reasons.

    query.py       the answer and its reasons                            -> Explanation
    proof_text.py  what a reply's NSEC and NSEC3 records prove, in words

Nothing here is used to answer on the network.
"""
