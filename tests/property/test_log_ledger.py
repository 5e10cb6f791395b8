"""The ledger of dirty keys against a model of its rules."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from streams.indexer.ledger import LOST_PAUSE_S, Ledger
from visualsearch.contracts.records import Order

GRACE_S = 3.0
KEYS = {b"base:p": 0, b"offer:p": 0, b"base:q": 1}  # with their partitions
ACTIONS = ("stale", "stale", "restore", "current", "met_end", "met_end", "claim", "lost")
Step = tuple[str, bytes, Order, float]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.sampled_from(sorted(KEYS)),
        st.sampled_from([(1, 0, 0), (2, 0, 0)]),
        st.sampled_from([0.0, 0.0, 1.0, 1.0, 3.0, LOST_PAUSE_S]),  # until the next step
    ),
    min_size=8,
    max_size=30,
)


@dataclass
class Model:
    """The rules, a key at a time; `now_s` is the clock of both."""

    now_s: float = 0.0
    orders: dict[bytes, Order] = field(default_factory=dict)
    due_s: dict[bytes, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)

    def stale(self, key: bytes, order: Order) -> None:
        """Start a key's grace, unless it has begun."""
        self.due_s.setdefault(key, self.now_s + GRACE_S)
        self.orders[key] = order

    def current(self, key: bytes, order: Order) -> None:
        """Clean a key by a record that is not older."""
        if key in self.orders and order >= self.orders[key]:
            del self.orders[key], self.due_s[key]

    def put_off(self, key: bytes, order: Order, by_s: float) -> bool:
        """Put a key off if this is still its newest order."""
        same = self.orders.get(key) == order
        if same:
            self.due_s[key] = self.now_s + by_s
        return same

    def due(self) -> dict[bytes, Order]:
        """Return what is to be healed: an end was met after the key's time."""
        return {
            key: order
            for key, order in self.orders.items()
            if KEYS[key] in self.ends and self.ends[KEYS[key]] >= self.due_s[key]
        }


def _step(ledger: Ledger, model: Model, action: str, key: bytes, order: Order) -> None:
    if action == "stale":
        ledger.mark_stale(key, KEYS[key], order)
        model.stale(key, order)
    elif action == "restore":
        ledger.restore([(key, KEYS[key], order)])
        model.stale(key, order)
    elif action == "current":
        ledger.mark_current(key, order)
        model.current(key, order)
    elif action == "met_end":
        ledger.mark_end(KEYS[key])
        model.ends[KEYS[key]] = model.now_s
    elif action == "claim":
        assert ledger.claim(key, order) == model.put_off(key, order, GRACE_S)
    else:
        assert ledger.mark_lost(key, order) == model.put_off(key, order, LOST_PAUSE_S)


def check_ledger(steps: list[Step]) -> None:
    """Check after each step which keys are dirty, with what newest order, and which are due."""
    model = Model()
    ledger = Ledger(GRACE_S, lambda: model.now_s)
    for action, key, order, pause_s in steps:
        _step(ledger, model, action, key, order)
        assert {key: dirty.order for key, dirty in ledger.dirty_keys().items()} == model.orders
        assert {key: dirty.order for key, dirty in ledger.due_keys().items()} == model.due()
        assert len(ledger) == len(model.orders)
        model.now_s += pause_s


@given(STEPS)
def test_the_ledger_follows_its_rules(steps: list[Step]) -> None:
    """Grace, ends, claims, and keys that nobody can heal."""
    check_ledger(steps)
