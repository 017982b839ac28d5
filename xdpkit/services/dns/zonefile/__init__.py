"""Master files, read into zones.

    sources.py      the files as they were read, and whether they changed -> Source
    read.py         one master file, read and checked                    -> Zone
    limits.py       what a file may cost: bounds and budgets
    zone.py         the zone, its RRsets, and wire names
    records.py      the records one by one, and which are refused
    master_file.py  dnspython's reader, and where each record began
    plain_lines.py  the simple lines that make up most of a large file
    plain_rdata.py  what the plain lines of each type hold
    diagnosis.py    a refused file again, with the place of every error
    wording.py      what was found there, what was expected, the fix
    error_list.py   several errors as one

Every refusal is a ``ZoneError`` with file, line and column.
"""
