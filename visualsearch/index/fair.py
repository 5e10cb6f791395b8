"""Taking turns: no thread that comes again and again keeps the others waiting."""

import threading
import time
from collections.abc import Callable


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
    """Many side by side, or something is done alone: before those who come later.

    They come before the next one alone, so that neither keeps the other out: a phase-fair lock for
    readers and writers (Brandenburg and Anderson, ECRTS 2009), but for the limit to the waiting.
    Who leaves last does what was to be done alone, instead of waking another thread to do it (flat
    combining; Hendler et al., SPAA 2010): where all cores are busy, one that is woken may wait for
    its core until the next tick, 4 ms, and all others for it. Who has waited is woken once.
    """

    def __init__(self) -> None:
        self._one = threading.Lock()  # who has something to do alone, or next will
        self._mutex = threading.Lock()  # held for a microsecond: to what follows
        self._inside = 0  # of the many
        self._closed = False  # to those who come
        self._waiting: list[threading.Lock] = []  # these, each at a lock of its own
        self._task: _Task | None = None  # for the last of those inside
        self._came = False  # one of the many, since something was done alone
        self._took, self._ended = 0.0, 0.0  # the last time that it was

    def __enter__(self) -> None:
        with self._mutex:
            self._came = True
            if not self._closed:
                self._inside += 1
                return
            gate = _shut()
            self._waiting.append(gate)
        gate.acquire()

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._inside -= 1
            if self._inside:
                return
            task, self._task = self._task, None
        if task is not None:
            self._do(task)
            task.done.release()

    def alone(self, work: Callable[[], object], most_s: float, rest: float = 0.0) -> bool:
        """Have something done while none of the many is there; return whether they had left.

        They are waited for so many seconds at most, and whoever comes meanwhile waits. What the
        work raises is raised here. If others have come since the last time, they first have `rest`
        times as long for themselves as that took.
        """
        with self._one:
            left = self._ended + rest * self._took - time.perf_counter()
            if left > 0 and self._came:
                time.sleep(left)
            task = _Task(work)
            with self._mutex:
                self._closed = True
                gone = not self._inside
                self._task = None if gone else task
            mine = gone or not (task.done.acquire(timeout=most_s) or self._begun(task))
            if mine:
                self._do(task)
        if task.error is not None:
            raise task.error
        return gone or not mine

    def _begun(self, task: "_Task") -> bool:
        """Take the task back, unless it is being done: then wait for the end of that."""
        with self._mutex:
            if self._task is task:
                self._task = None
                return False
        return task.done.acquire()

    def _do(self, task: "_Task") -> None:
        """Do it, and let those in who have waited, and whoever comes."""
        begun = time.perf_counter()
        try:
            task.work()
        except BaseException as error:
            task.error = error
        self._ended = time.perf_counter()
        self._took = self._ended - begun
        with self._mutex:
            self._closed = False
            waiting, self._waiting = self._waiting, []
            self._inside += len(waiting)
            self._came = bool(self._inside)
        for gate in waiting:
            gate.release()


class _Task:
    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.done = _shut()  # opened by another thread that has done it
        self.error: BaseException | None = None


def _shut() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate
