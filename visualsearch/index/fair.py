"""Taking turns: no thread that comes again and again keeps the others waiting."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

KEPT_OUT_STEPS = 4  # that are done at once where others have been kept out for them


class FairLock:
    """A lock for `with`, at which the next in line is let in before the one who has just left.

    A plain lock that is released and taken again at once stays with the thread that has Python's
    own lock: one that applies thousands of records in small groups would hold up a search until
    its last group. Here whoever waits for the lock also holds the turnstile before it.
    """

    def __init__(self) -> None:
        self._turnstile = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._turnstile:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Busy:
    """Says which threads are at something, with `with`, and lets others wait until none is.

    It is a courtesy, not a lock: who waits may see a thread that has just come, or miss it.
    """

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._idle = threading.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self._threads.add(threading.get_ident())
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._threads.discard(threading.get_ident())
        if not self._threads:
            self._idle.set()

    def wait(self, most_s: float) -> bool:
        """Wait until no thread is at it, so many seconds at most; return whether none is."""
        return self._idle.wait(most_s)


class Turns:
    """Many side by side, or something is done alone, in small steps between them.

    Who leaves last does the next step, instead of waking another thread to do it (flat combining;
    Hendler et al., SPAA 2010): where all cores are busy, one that is woken may wait for its core
    until the next tick, 4 ms, and all others for it. So each of the many pays a small tax, and
    none waits. Who was there when steps were brought leaves them to the next: it has waited for
    Python's lock already. If they overlap so that none is the last, those that come are kept out
    until one is: a phase-fair lock (Brandenburg and Anderson, ECRTS 2009), but for the limit to
    the waiting.
    """

    def __init__(self) -> None:
        self._one = threading.Lock()  # who has something to be done alone
        self._mutex = threading.Lock()  # held for a microsecond: to what follows
        self._inside = 0  # of the many
        self._left = 0.0  # when one of them last did
        self._closed = False  # to those who come
        self._waiting: list[threading.Lock] = []  # these, each at a lock of its own
        self._steps: deque[Callable[[], object]] = deque()  # to be done alone
        self._brought = False  # these, since one of the many last left or a step was done
        self._doing = False  # one or more of these
        self._turns = 0  # of such doing, so far
        self._rest = 0.0
        self._rested = 0.0  # when the next step may be done without keeping anybody out
        self._over = threading.Lock()  # free as soon as all are done: an `Event` takes longer
        self._error: BaseException | None = None

    def __enter__(self) -> None:
        with self._mutex:
            if not self._closed:
                self._inside += 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # opened by whoever has done what was to be done alone

    def __exit__(self, *_: object) -> None:
        now = time.perf_counter()
        with self._mutex:
            self._left = now
            self._inside -= 1
            brought, self._brought = self._brought, False
            if self._inside or self._doing or not self._steps:
                return
            if not self._closed and (brought or now < self._rested):
                return
            count = KEPT_OUT_STEPS if self._waiting else 1
            self._doing = self._closed = True
        self._do(count)

    def alone(
        self, steps: Sequence[Callable[[], object]], patience_s: float, rest: float = 0.0
    ) -> None:
        """Have the steps done in their order, none while one of the many is there.

        After each the many have `rest` times as long for themselves as it took. If none of them
        was the last to leave for so many seconds, whoever comes is kept out, and if they stay for
        as long again, a step is done beside them. What one raises is raised here; the others are
        not done, then.
        """
        with self._one:
            self._error, self._rest = None, rest
            self._over.acquire(blocking=False)  # it mostly is from the last time
            self._brought = True
            self._steps.extend(steps)
            try:
                self._done_by(patience_s)
            except BaseException:  # a Ctrl-C: nobody would let in those who wait
                self._steps.clear()
                if not self._doing:
                    self._reopen()
                raise
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _done_by(self, patience_s: float) -> None:
        """Wait until all steps are done, and do those that nobody else does."""
        turns = -1
        while True:
            with self._mutex:
                if not self._steps and not self._doing:
                    return
                first, stalled, turns = turns < 0, self._turns == turns, self._turns
                mine = not self._doing and self._idle(patience_s, first=first, stalled=stalled)
                self._doing = self._doing or mine
                self._closed = self._closed or mine or stalled
            if mine:
                self._do(1)
            else:
                self._over.acquire(timeout=patience_s)

    def _idle(self, patience_s: float, *, first: bool, stalled: bool) -> bool:
        """Return whether no other thread will do the next step.

        Who has just left mostly comes again, and would have to wait: where there are many steps
        these are left to it.
        """
        if self._inside:
            return stalled and self._closed
        return first or stalled or time.perf_counter() > self._left + patience_s

    def _do(self, count: int) -> None:
        begun = time.perf_counter()
        try:
            for _ in range(min(count, len(self._steps))):
                self._steps.popleft()()
        except BaseException as error:
            self._steps.clear()
            self._error = error
        ended = time.perf_counter()
        self._rested = ended + self._rest * (ended - begun)
        self._reopen()

    def _reopen(self) -> None:
        """Let in those who have waited, and whoever comes."""
        with self._mutex:
            self._doing = self._closed = self._brought = False
            self._turns += 1
            waiting, self._waiting = self._waiting, []
            self._inside += len(waiting)
            if not self._steps and self._over.locked():
                self._over.release()
        for gate in waiting:
            gate.release()
