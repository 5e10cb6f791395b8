"""A client of the search topics, for the gateway, the command line and tests."""

import contextlib
import logging
import math
import threading
import time
import uuid
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from visualsearch.client.messages import OutgoingMessage, read_headers
from visualsearch.client.offsets import OffsetsError
from visualsearch.client.producer import Producer
from visualsearch.client.routes import Routes
from visualsearch.client.tail import Tail
from visualsearch.contracts.search import SearchRequest, SearchResult, decode_result

log = logging.getLogger(__name__)
CORRELATION_ID = "correlation_id"
NO_ANSWER = "no worker answered; is one running and ready? (visualsearch worker)"
_BROKER_S = 3.0  # timeout of one metadata or offset request
_POLL_S = 0.05
_RESULTS = 100  # per poll; more would delay resends and timeouts


class ClientClosedError(ConnectionError):
    """The client was closed before the request was answered."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A request that waits for its result; `sends` holds a correlation id per send."""

    request_id: str
    message: OutgoingMessage
    resend_at: float
    give_up_at: float
    future: "Future[SearchResult]" = field(default_factory=Future)
    sends: list[bytes] = field(default_factory=list)

    def resolve(self, outcome: SearchResult | BaseException) -> None:
        """Set the future's result or error, unless it is done or cancelled."""
        with contextlib.suppress(InvalidStateError):
            if isinstance(outcome, BaseException):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)


class SearchClient:
    """Publishes requests and matches their results by a unique `correlation_id` per send.

    The request_id is the caller's: any number of requests may share one. Results without one of
    the client's correlation ids belong to other clients and are ignored.

    The client is assigned all partitions of the results topic, from their ends. Requests that are
    submitted before that are sent afterwards. An unanswered request is sent again at half its
    deadline (unless `resend` is off) to the partition that answered last; the first answer counts.
    Without an answer it fails `grace_s` seconds after its deadline.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        requests: str,
        results: str,
        *,
        grace_s: float = 3.0,
        resend: bool = True,
    ) -> None:
        self._options = options
        self._requests = requests
        self._results = results
        self._grace_s = grace_s
        self._resend = resend
        self._routes = Routes(1)
        self._producer = Producer(options, linger_ms=0)
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="search-client-send")
        self._pending: set[_Pending] = set()
        self._sends: dict[bytes, tuple[_Pending, int]] = {}  # with the partition sent to
        self._lock = threading.Lock()  # guards the two above, `_ended` and setting `_positioned`
        self._positioned = threading.Event()
        self._stopping = threading.Event()
        self._ended: ConnectionError | None = None  # why new requests are refused
        self._failure: Exception | None = None
        self._reason: str | None = None  # why it is not positioned yet
        self._thread = threading.Thread(target=self._run, name="search-client", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> Exception | None:
        """The error that ended the reading of results; None while it goes on, and after `close`."""
        return self._failure

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Return once the results topic is assigned. Raises ConnectionError with the reason."""
        positioned = self._positioned.wait(timeout_s)
        if self._ended is not None:
            raise _copy_error(self._ended)
        if not positioned:
            reason = self._reason or f"no answer from {self._options['bootstrap.servers']}"
            raise ConnectionError(f"cannot read topic {self._results}: {reason}")

    def submit(self, request: SearchRequest) -> "Future[SearchResult]":
        """Publish a request, at once or as soon as the client is positioned.

        The future raises TimeoutError if no result came in time, SendError if Kafka refused the
        request, ClientClosedError, or ConnectionError if results cannot be read. Cancelling it
        frees its resources.
        """
        deadline_s = request.deadline_ms / 1000
        now = time.monotonic()
        request_id = request.request_id
        pending = _Pending(
            request_id,
            OutgoingMessage(self._requests, request_id.encode(), msgspec.json.encode(request)),
            resend_at=now + deadline_s / 2 if self._resend else math.inf,
            give_up_at=now + deadline_s + self._grace_s,
        )
        pending.future.add_done_callback(lambda _: self._forget(pending))
        with self._lock:
            ended, positioned = self._ended, self._positioned.is_set()
            if ended is None:
                self._pending.add(pending)
        if ended is not None:
            pending.resolve(_copy_error(ended))
        elif positioned:
            self._send(pending, self._routes.partition_for(request_id))
        return pending.future

    def search(self, request: SearchRequest) -> SearchResult:
        """Publish a request and wait for its result. Raises the errors of `submit`'s future."""
        self.wait_ready()
        return self.submit(request).result()

    def close(self) -> None:
        """Fail pending requests with ClientClosedError, and stop."""
        self._stopping.set()
        self._fail_all(ClientClosedError("the search client is closed"))
        self._thread.join()
        self._sender.shutdown(wait=False, cancel_futures=True)
        self._producer.close()

    def _send(self, pending: _Pending, partition: int) -> None:
        """Send on the sender thread, so that a full local queue blocks no other thread."""
        with contextlib.suppress(RuntimeError):  # closed meanwhile: the future has failed
            self._sender.submit(self._send_now, pending, partition)

    def _send_now(self, pending: _Pending, partition: int) -> None:
        correlation_id = uuid.uuid4().hex.encode()
        with self._lock:
            if pending not in self._pending:  # done or cancelled
                return
            self._sends[correlation_id] = (pending, partition)
            pending.sends.append(correlation_id)
        message = replace(
            pending.message, partition=partition, headers=((CORRELATION_ID, correlation_id),)
        )

        def sent(done: "Future[None]") -> None:
            if (error := done.exception()) is not None:
                self._on_send_failed(pending, correlation_id, error)

        try:
            self._producer.submit(message).add_done_callback(sent)
        except Exception as error:
            self._on_send_failed(pending, correlation_id, error)

    def _on_send_failed(
        self, pending: _Pending, correlation_id: bytes, error: BaseException
    ) -> None:
        """Drop a failed send; fail the request if no other send is left."""
        with self._lock:
            if self._sends.pop(correlation_id, None) is not None:
                pending.sends.remove(correlation_id)
            answerable = bool(pending.sends)
        if not answerable:
            pending.resolve(error)

    def _forget(self, pending: _Pending) -> None:
        """Release the state of a request that is done or cancelled."""
        with self._lock:
            self._pending.discard(pending)
            for correlation_id in pending.sends:
                self._sends.pop(correlation_id, None)

    def _fail_all(self, error: ConnectionError) -> None:
        """Refuse new requests and fail pending ones."""
        with self._lock:
            self._ended = self._ended or error
            waiting = list(self._pending)
        for pending in waiting:  # without the lock: `_forget` takes it
            pending.resolve(_copy_error(error))
        self._positioned.set()  # wakes `wait_ready`, which raises the error

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:
            log.exception("cannot read %s any more", self._results)
            self._failure = error
            self._fail_all(ConnectionError(f"cannot read topic {self._results}: {error!r}"))

    def _read(self) -> None:
        """Read results until closed; a request whose result was in a skipped batch is resent."""
        tuning = {"fetch.wait.max.ms": 100}
        with Tail(self._options, "client", reset="latest", tuning=tuning,
                  answer_s=_BROKER_S) as tail:  # fmt: skip
            self._seek_to_end(tail)
            self._send_queued()
            sweep_at = 0.0
            for polled in tail.polls(self._stopping.is_set, _RESULTS, _POLL_S):
                for message in polled.messages:
                    self._handle_result(message)
                if (now := time.monotonic()) >= sweep_at:
                    self._expire_and_resend(now)
                    sweep_at = now + _POLL_S

    def _seek_to_end(self, tail: Tail) -> None:
        """Assign the results topic from its current end; count the partitions of the requests.

        A new topic may have no leader yet, or the broker may be unreachable, so this retries until
        it succeeds or the client is closed.
        """
        while not self._stopping.is_set():
            try:
                self._routes = Routes(len(tail.offsets.partitions(self._requests)))
                tail.assign_ends(self._results)
            except OffsetsError as error:
                self._reason = str(error)
                self._expire_and_resend(time.monotonic())
                self._stopping.wait(0.1)
            else:
                return

    def _send_queued(self) -> None:
        """Send the requests that were submitted before the client was positioned."""
        with self._lock:
            self._positioned.set()
            held_back = list(self._pending)
        for pending in held_back:
            self._send(pending, self._routes.partition_for(pending.request_id))

    def _handle_result(self, message: Any) -> None:
        headers = dict(read_headers(message) or ())  # unreadable headers: not ours
        with self._lock:
            found = self._sends.get(headers.get(CORRELATION_ID) or b"")
        if found is None:
            return
        pending, partition = found
        try:
            result = decode_result(message.value() or b"")
        except (ValueError, RecursionError) as error:  # msgspec's and SchemaError are ValueErrors
            log.warning("skipped %s[%d]@%d: %s", message.topic(), message.partition(),
                        message.offset(), error)  # fmt: skip
            return
        self._routes.record_answer(partition)
        pending.resolve(result)

    def _expire_and_resend(self, now: float) -> None:
        """Resend overdue requests and fail expired ones."""
        with self._lock:
            over = [pending for pending in self._pending if now >= pending.give_up_at]
            late = [p for p in self._pending if len(p.sends) == 1 and now >= p.resend_at]
        for pending in over:
            pending.resolve(TimeoutError(NO_ANSWER))
        for pending in late:
            pending.resend_at = math.inf
            self._send(
                pending,
                self._routes.resend_partition(self._routes.partition_for(pending.request_id)),
            )


def _copy_error(error: ConnectionError) -> ConnectionError:
    """Return a copy of an error for one caller, since raising changes its traceback."""
    return type(error)(*error.args)
