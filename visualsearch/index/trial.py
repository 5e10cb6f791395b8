"""Searches with a knob held still, to see what it costs and finds on this index."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from visualsearch.index.arrays import DoubleArray
from visualsearch.index.find import Finder, Scored
from visualsearch.index.lists import Effort
from visualsearch.index.planner import Choice
from visualsearch.index.view import View
from visualsearch.types import Filters, Query


@dataclass(frozen=True, slots=True)
class Trial:
    """Searches of an engine past its planner; each returns the scores of the products found.

    Scores fall, at most `top_k` of them, of shape (n,), float64.
    """

    finder: Finder
    view_of: Callable[[Filters], View]

    def has_graphs(self) -> bool:
        """Return whether a beam means anything here."""
        return bool(self.view_of(Filters()).segments)

    def has_lists(self) -> bool:
        """Return whether a reach means anything here."""
        return bool(self.view_of(Filters()).pieces)

    def walk(self, query: Query, ef: int) -> DoubleArray:
        """Walk the graphs with a beam of `ef`, whatever the filter keeps."""
        return self._walk(self.view_of(query.filters), query, ef)

    def overfetch(self, query: Query, ef: int, times: float) -> DoubleArray:
        """Walk with `times` the beam that the filter's selectivity asks for over `ef`."""
        view = self.view_of(query.filters)
        share = max(view.matching_rows / max(view.live_rows, 1), 1e-4)
        return self._walk(view, query, ceil(ef * times / share))

    def look(self, query: Query, effort: Effort) -> DoubleArray:
        """Look through the lists as far as `effort` says."""
        view = self.view_of(query.filters)
        choice = Choice("ivfpq", (), effort, effort, effort)
        return self._products(
            view, query, self.finder.listed(view, query.vector, query.top_k, choice)
        )

    def _walk(self, view: View, query: Query, ef: int) -> DoubleArray:
        found = self.finder.walked(view, query.vector, ef, query.top_k)
        return self._products(view, query, found)

    def _products(self, view: View, query: Query, found: Scored) -> DoubleArray:
        """Return each product's best score, the best `top_k` of them."""
        rows, scores = found
        order = np.argsort(-scores, kind="stable")
        _, firsts = np.unique(view.slot[rows[order]], return_index=True)
        best = np.sort(scores[order][firsts])[::-1]
        return np.asarray(best[: query.top_k])
