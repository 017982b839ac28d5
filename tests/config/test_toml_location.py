"""The locations of keys and values in generated TOML files."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.config.toml_location import Locations

# A TOML value as written, with what Locations must find inside it: (path below it, its text).
Written = tuple[str, list[tuple[tuple[str | int, ...], str]]]

# The written form of each key.
KEY_FORMS = {
    "a": "a",
    "b-1": "b-1",
    "c_2": "c_2",
    "d e": '"d e"',
    "f.g": "'f.g'",
    "hA": '"h\\u0041"',
}
KEYS = st.sampled_from(sorted(KEY_FORMS))
NUMBERS = ["1", "0x1F", "1e5", "true", "inf"]
DATES = ["1979-05-27 07:32:00", "07:32:00", "1979-05-27T07:32:00Z"]
STRINGS = ['""', "''", '"s, ] #"', '"\\""', "'l\\'", '"""m\n"" \\""""""', "''''x\n'''''"]
SCALARS = st.sampled_from([*NUMBERS, *DATES, *STRINGS]).map(lambda token: (token, []))
GAPS = st.sampled_from(["", " ", "\n", " # ] , x\n", "\r\n\t"])


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[Written]) -> Written:
    text, inside = "[", []
    for index, (item, below) in enumerate(draw(st.lists(items, max_size=3))):
        text += draw(GAPS) + item + draw(GAPS) + ","
        inside += [((index,), item), *(((index, *path), token) for path, token in below)]
    return text + draw(GAPS) + "]", inside


@st.composite
def inline_tables(draw: st.DrawFn, items: st.SearchStrategy[Written]) -> Written:
    parts, inside = [], []
    for key, (item, below) in draw(st.dictionaries(KEYS, items, max_size=3)).items():
        parts.append(f" {KEY_FORMS[key]} = {item} ")
        inside += [((key,), item), *(((key, *path), token) for path, token in below)]
    return "{" + ",".join(parts) + "}", inside


VALUES = st.recursive(SCALARS, lambda items: arrays(items) | inline_tables(items), max_leaves=8)


@given(
    st.dictionaries(KEYS, st.dictionaries(KEYS, st.tuples(VALUES, GAPS), max_size=3), max_size=3)
)
def test_every_key_and_value_is_located(
    tables: dict[str, dict[str, tuple[Written, str]]],
) -> None:
    text, wanted = "", []
    for table, entries in tables.items():
        text += f" [ {KEY_FORMS[table]} ] # [x]\n"
        for key, ((item, below), gap) in entries.items():
            text += f"{KEY_FORMS[key]}\t= {item} # = \n{gap}\n"
            wanted += [((table, key, *path), token) for path, token in [((), item), *below]]
    tomllib.loads(text)
    locations = Locations(text)
    assert set(locations.values) == {path for path, _ in wanted}
    for path, token in wanted:
        assert text.startswith(token, locations.values[path]), path
    for path, start in locations.keys.items():
        assert text.startswith(KEY_FORMS[str(path[-1])], start), path


@pytest.mark.parametrize("text", ["a = = 1", "[a", "a = [1 2]", "= 1", 'a = "'])
def test_locations_rejects_what_is_not_toml(text: str) -> None:
    with pytest.raises(ValueError, match="not TOML at line 1"):
        Locations(text)
