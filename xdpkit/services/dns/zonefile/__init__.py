"""Master files, read into zones.

    sources.py      the files as they were read, and whether they changed -> Source
    zone_name.py    the name of the zone in a file
    read.py         one master file, read and checked                    -> Zone
    limits.py       what a file may cost: bounds and budgets
    zone.py         the zone, its RRsets, and wire names
    records.py      the records one by one, and which are refused; plain ones come from C
    master_file.py  dnspython's reader for the others, and where each record began
    lines.py        its lines as text, whatever bytes are in them
    diagnosis.py    a refused file again, with the place of every error
    wording.py      what was found there, what was expected, the fix
    error_list.py   several errors as one

Every refusal is a ``ZoneError`` with file, line and column.
"""
