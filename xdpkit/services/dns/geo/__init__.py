"""GeoDNS's JSON zones, read and compiled: docs/geodns.md has the format.

    json_place.py     where each key and value of a JSON text is
    json_text.py      a JSON file, and errors about it with file:line:column
    model.py          the zone, its labels and records -> GeoZone
    names.py          label keys and names, as text and as wire format
    values.py         numbers, texts and weights, checked
    records.py        the shapes of each type's records
    presentation.py   types whose records are written as in a master file
    zone_json.py      one JSON zone, read and checked
    zone_checks.py    what only the whole zone shows: aliases, delegations
    alias_graph.py    circles of aliases
    targets.py        what a client is to the labels: address, AS, region, country, continent
    continents.py     countries' continents, regions' groups
    resolve.py        which records a question gets from a zone: the reference
    variants.py       which targets matter to which name
    chances.py        how likely each of its records is to be drawn
    closest.py        the nearest of them
    health.py         status files
    classes.py        the classes of clients that a zone is compiled for
    class_groups.py   which of them are one to a name
    alias_reach.py    what a name's labels have, and those that its aliases lead to
    answer_search.py  resolve, with all that it leaves to chance
    answer_steps.py   what answers are drawn from, each thing once
    name_answers.py   what each name has: RRsets, and choices
    compile_geo.py    a zone's arena
    geodns_conf.py    geodns.conf as TOML
    location_table.py where every address is, in ranges
    location_map.py   an operator's own file of prefixes and their locations
    location_db.py    MaxMind databases, flattened
    mmdb.py           their format
    coordinates.py    where on the sphere an address is
    places.py         tables of ranges and their places, in columns
    locations.py      all tables: what is known of where addresses are
    table_file.py     a table in the file that keeps it for the next start
    reduction.py      which places are the same to a zone
    address_ranges.py addresses that a zone has labels for, as ranges
    view.py           the class of every address, as cext/geo/view.h has it

What is read says nothing of how it is answered, until ``classes.py``. Every refusal is a
``ZoneError`` with file, line and column.
"""
