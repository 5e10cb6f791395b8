"""What a healer's search finds in a partition, against the log as a whole."""

from hypothesis import given
from hypothesis import strategies as st

from streams.indexer.healer import LogRecord, NewestRecordCollector
from visualsearch.contracts.records import BaseLogRecord, Order, encode_record

KEYS = (b"base:p", b"base:q", b"base:r")
ORDERS = [(1, 0, 0), (2, 0, 0), (2, 1, 0)]
Log = list[tuple[bytes, Order]]
Wanted = dict[bytes, Order]
SEARCHES: st.SearchStrategy[tuple[Log, Wanted]] = st.tuples(
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(ORDERS)), min_size=2, max_size=12),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ORDERS), min_size=1),
)


def check_search(search: tuple[Log, Wanted]) -> None:
    """Check that of each wanted key the last record of its newest order is found.

    A key whose newest record is older than what is wanted is not found.
    """
    log, wanted = search
    searching = NewestRecordCollector(wanted)
    found: dict[bytes, LogRecord] = {}
    for offset, (key, order) in enumerate(log):
        value = encode_record(BaseLogRecord(order=order, title=str(offset)))
        searching.observe(key, value, (("offset", b"%d" % offset),))
        newest = max(o for k, o in log if k == key)
        if key in wanted and order == newest >= wanted[key]:
            found[key] = LogRecord(key, value, (("offset", b"%d" % offset),))
    assert searching.found == found


@given(SEARCHES)
def test_the_last_record_of_the_newest_order_is_found(search: tuple[Log, Wanted]) -> None:
    """Of equal orders the later record counts, as it does in the index."""
    check_search(search)
