"""Searching a view, without any lock: candidates by the chosen strategy, then exact scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from visualsearch.index.arrays import CodeArray, DoubleArray, IntArray, ascending
from visualsearch.index.astray import ASTRAY, better_rows
from visualsearch.index.curve import MANY
from visualsearch.index.lists import best_candidates
from visualsearch.index.planner import (
    Choice,
    Costs,
    Situation,
    Strategy,
    Tuning,
    choose,
    wanted_rows,
)
from visualsearch.index.rows import Rows
from visualsearch.index.view import View
from visualsearch.search.group import near_best, nth_best
from visualsearch.types import FloatArray, Plan

AVERSE = 0.5  # near the query less than this part of the share matches: the filter avoids it
RELATED = 1.5  # and more than this: it keeps what is near
NEAR_LISTS = 128  # one of so many, four at least: they hold about as much of any sample

NO_ROWS: IntArray = np.empty(0, dtype=np.int64)
ASTRAY_CHOICE = Choice("ivfpq")  # far: it is seldom, and what a beam finds counts on it
Scored = tuple[IntArray, DoubleArray]  # row ids, ascending, each once; and their cosines


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The products that may be among the best, each with its best picture and exact score."""

    slots: IntArray
    places: IntArray  # which of its pictures it is
    scores: DoubleArray
    looked_at: IntArray  # the products that were scored, also those that vanished meanwhile
    plan: Plan


@dataclass(frozen=True, slots=True)
class Finder:
    """Searches views of one index."""

    rows: Rows
    tuning: Tuning
    costs: Costs

    def find(self, view: View, vector: FloatArray, top_k: int, target: float) -> Found:
        """Return at least `min(top_k, matches)` products of the view, the best among them."""
        choice = self.choice(view, top_k, target)
        if choice.strategy == "empty":
            return Found(NO_ROWS, NO_ROWS, np.empty(0), NO_ROWS, _plan("empty", view, 0))
        products = min(top_k, view.matches)
        wanted = wanted_rows(top_k, view.matches, view.matching_rows)
        visited = 0
        averse = bool(choice.beams) and self._averse(view, vector)
        for ef in () if averse else choice.beams:
            scored, near = self.walk(view, vector, ef)
            visited += len(scored[0])
            averse = self._too_few(view, near)
            if averse:
                break
            if self.astray(view, vector, scored[1], wanted):
                choice = ASTRAY_CHOICE
                break
            plan = _plan("graph", view, visited, ef)
            if (found := self._best(view, vector, scored, products, plan)) is not None:
                return found
        if averse:
            choice = replace(choice, effort=choice.averse, related=choice.averse)
        if view.pieces and choice.strategy != "exact":
            # No fewer than were measured: the best estimate of a few says little of the best row.
            scored = self.listed(view, vector, max(wanted, MANY), choice)
            visited += len(scored[0])
            plan = _plan("ivfpq", view, visited)
            if (found := self._best(view, vector, scored, products, plan)) is not None:
                return found
        return self.exact(view, vector, products, visited)

    def _averse(self, view: View, vector: FloatArray) -> bool:
        """Return whether too few match near the vector for a walk, as the lists say."""
        if not view.pieces or view.matching_rows == view.live_rows:
            return False
        return self._too_few(view, _near_share(view, view.pieces[0].coder.scores(vector)))

    def _too_few(self, view: View, near: float) -> bool:
        """Return whether lists should be looked through, when this share matches near the vector.

        Fewer match in a beam than a search without a filter looks at: a wider one stays lossy.
        """
        share = view.matching_rows / view.live_rows
        return bool(view.pieces) and near * self.tuning.surplus < share

    def choice(self, view: View, top_k: int, target: float) -> Choice:
        """Return how to search the view for so many products."""
        choice = view.choices.get((top_k, target))
        if choice is None:
            choice = choose(situation_of(view, top_k), self.tuning, self.costs, view.curves, target)
            view.choices[top_k, target] = choice
        return choice

    def exact(self, view: View, vector: FloatArray, products: int, visited: int = 0) -> Found:
        """Score every matching row."""
        rows = np.flatnonzero(view.mask)
        scored = rows, self.rows.score(rows, vector)
        slots = near_best(view.slot[rows], scored[1], products)
        return self._found(view, vector, slots, scored, _plan("exact", view, visited + len(rows)))

    def walk(self, view: View, vector: FloatArray, ef: int) -> tuple[Scored, float]:
        """Return matching rows near the vector, from every graph, and all that are on none.

        The second value is the share of a graph's results that match, in the worst of them: what
        the others found does not make up for a large one whose beam met hardly a match.
        """
        parts = [view.matching(rows) for rows in (view.fresh, view.building) if len(rows)]
        near = 1.0
        for segment in view.segments:
            rows = segment.search(vector, ef)
            if rows is None:  # hnswlib failed twice: look at all of its rows
                parts.append(view.matching(segment.rows))
            elif len(rows):
                parts.append(view.matching(rows))
                near = min(near, len(parts[-1]) / len(rows))
        # All are scored: the axes of one graph's projections are not those of another's.
        return self._scan(vector, parts), near

    def walked(self, view: View, vector: FloatArray, ef: int, wanted: int) -> Scored:
        """Return what a search that walks comes to: the lists' rows where it goes astray."""
        found, _ = self.walk(view, vector, ef)
        if self.astray(view, vector, found[1], wanted):
            return self.listed(view, vector, wanted, ASTRAY_CHOICE)
        return found

    def astray(self, view: View, vector: FloatArray, scores: DoubleArray, wanted: int) -> bool:
        """Return whether a walk has missed where the best rows are; see `astray`."""
        wanted = min(max(wanted, MANY), len(scores))  # the best of a few say less
        if not view.pieces or not wanted:
            return False
        last = np.array(nth_best(scores, wanted), dtype=np.float32)
        coder, spread = view.pieces[0].coder, view.curves.spread
        better = better_rows(coder.usual(vector), coder.across, view.list_sizes, last, spread)
        return bool(better * view.matching_rows > ASTRAY * wanted * view.live_rows)

    def listed(self, view: View, vector: FloatArray, wanted: int, choice: Choice) -> Scored:
        """Return the matching rows near the vector by the lists, and all that are on none."""
        scores = view.pieces[0].coder.scores(vector)
        bits, sizes, effort = None, view.list_sizes, choice.effort
        if view.matching_rows < view.live_rows:
            kept = view.on_lists()
            bits, sizes = kept.bits, kept.sizes
            share = _near_share(view, scores) * view.live_rows / view.matching_rows
            if share < AVERSE:
                effort = choice.averse
            elif share > RELATED:
                effort = choice.related
        rows, lists = best_candidates(view.pieces, vector, scores, bits, sizes, wanted, effort)
        parts = [view.matching(rows)]
        if len(view.uncoded):
            parts.append(view.matching(view.uncoded_on(lists)))
        return self._scan(vector, parts)

    def _scan(self, vector: FloatArray, parts: Sequence[IntArray | CodeArray]) -> Scored:
        """Score rows, each once; one that moved meanwhile may be in two of the parts."""
        rows = ascending(parts[0] if len(parts) == 1 else np.concatenate([*parts, NO_ROWS]))
        return rows, self.rows.score(rows, vector)

    def _best(
        self, view: View, vector: FloatArray, scored: Scored, products: int, plan: Plan
    ) -> Found | None:
        """Return the best products by the rows scored; None if these are of fewer products."""
        rows, scores = scored
        if len(rows) >= products:
            top = np.flatnonzero(scores >= nth_best(scores, products))
            # One picture each is the usual case, and then all that matters is known.
            slots = view.only_pictures(rows[top]) if len(top) == products else None
            if slots is not None:
                return Found(slots, np.zeros(products, np.int64), scores[top], slots, plan)
        slots = near_best(view.slot[rows], scores, products)
        return self._found(view, vector, slots, scored, plan) if len(slots) >= products else None

    def _found(
        self, view: View, vector: FloatArray, slots: IntArray, scored: Scored, plan: Plan
    ) -> Found:
        """Score the other pictures of these products, too, and keep the best of each."""
        rows, places = view.rows_of(slots)
        scores = self._scores(rows, vector, scored)
        owners = view.slot[rows]
        if len(rows) > len(slots):
            order = np.lexsort((places, -scores, owners))
            kept = np.flatnonzero(np.diff(owners[order], prepend=-1))
            firsts = order[kept]
            owners, places, scores = owners[firsts], places[firsts], scores[firsts]
        return Found(owners, places, scores, slots, plan)

    def _scores(self, rows: IntArray, vector: FloatArray, scored: Scored) -> DoubleArray:
        """Return the scores of rows, of which most are known."""
        ids, known = scored
        at = np.minimum(np.searchsorted(ids, rows), len(ids) - 1)
        scores = known[at]
        others = np.flatnonzero(ids[at] != rows)
        if len(others):
            scores[others] = self.rows.score(rows[others], vector)
        return scores


def situation_of(view: View, top_k: int) -> Situation:
    """Return what the plan of a search of the view rests on."""
    held = [segment.added for segment in view.segments]
    return Situation(
        top_k=top_k,
        matches=view.matches,
        matching_rows=view.matching_rows,
        live_rows=view.live_rows,
        fresh_rows=len(view.building) + len(view.fresh),
        uncoded_rows=len(view.uncoded) - len(view.near),
        segments=len(view.segments),
        coded=bool(view.pieces),
        largest=max(held) / max(1, sum(held)) if held else 1.0,
    )


def _near_share(view: View, scores: FloatArray) -> float:
    """Return which share of the rows matches on the lists that are nearest by these cosines."""
    count = min(len(scores), max(4, len(scores) // NEAR_LISTS))
    near = np.argpartition(scores, -count)[-count:]
    return float(view.on_lists().sizes[near].sum() / max(1, view.list_sizes[near].sum()))


def _plan(strategy: Strategy, view: View, visited: int, ef: int | None = None) -> Plan:
    share = view.matching_rows / view.live_rows if view.live_rows else 0.0
    return Plan(strategy, share, view.matches, visited, ef)
