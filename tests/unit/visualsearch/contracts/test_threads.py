"""The contracts' types may be used by many threads from the first moment on."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

# msgspec crashes the interpreter when two threads are the first to use a type: without types used
# at import, 9 of 25 of these processes died of a segmentation fault.
FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.records import OfferLogRecord, decode_record, encode_record
from visualsearch.contracts.search import decode_request

EVENT = (b'{"event_id":"e","event_type":"product-created","occurred_at":"2026-01-01T00:00:00Z",'
         b'"product":{"product_id":"p","title":"t","images":[]}}')
RECORD = encode_record(OfferLogRecord(order=(1, 2, 3)))
barrier = threading.Barrier(8)
done = []

def work():
    barrier.wait()
    decode_event(EVENT, key=b"p", headers=(), timestamp_ms=1, source="t[0]@0")
    decode_record(b"offer:p", RECORD)
    decode_request(b'{"request_id":"r","query":{"text":"x"}}')
    done.append(True)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""


def test_first_uses_side_by_side_do_not_crash() -> None:
    """Ten fresh interpreters, eight threads each that decode at the same moment."""
    for _ in range(10):
        done = subprocess.run(
            [sys.executable, "-c", FIRST_USE], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.strip()) == (0, "8"), done.stderr
