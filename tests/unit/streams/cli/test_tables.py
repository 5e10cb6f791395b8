"""Hits for people: what was guessed is told apart, and how sure it is."""

import io

from rich.console import Console

from streams.cli.tables import guessed_line, hits_table
from visualsearch.contracts.search import GuessedAttribute, SearchHit


def test_guesses_stand_in_a_column_of_their_own_where_there_are_any() -> None:
    """The surest first; no column without."""
    hit = SearchHit(product_id="p", score=0.5, image_id="0", title="[b]T", guessed={
        "pattern": GuessedAttribute("plain", 0.61), "color": GuessedAttribute("red", 0.934),
    })  # fmt: skip
    assert guessed_line(hit) == "color red 93%, pattern plain 61%"
    bare = SearchHit(product_id="p", score=0.5, image_id="0", title="T")
    for hits, shown in (([hit], True), ([bare], False)):
        out = io.StringIO()
        Console(file=out, width=160).print(hits_table(hits))
        assert ("guessed" in out.getvalue()) is shown
