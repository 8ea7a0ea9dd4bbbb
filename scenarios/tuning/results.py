"""Plays many storms in a pool of processes, and writes down each result as it comes, so that none is lost."""

import hashlib
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

_Result = TypeVar("_Result", bound=msgspec.Struct)


class Playable(Protocol):
    """A task that can be told from others."""

    @property
    def candidate(self) -> str:
        """Whose settings it plays."""
        ...

    @property
    def trigger(self) -> str:
        """The storm's size."""
        ...

    @property
    def seed(self) -> int:
        """The storm's seed."""
        ...


_Task = TypeVar("_Task", bound=Playable)
Key = tuple[str, str, int]
"""(candidate, trigger, seed)"""


class ResultsError(ValueError):
    """Results of an earlier search that cannot be gone on with; the message says why."""


class Results(Generic[_Result]):
    """The results of a search: one JSON line each, behind a line that says what was asked.

    A half line that a killed search has left is forgotten. Raises ResultsError where the file answers
    another question.
    """

    def __init__(self, path: Path, kind: type[_Result], question: object) -> None:
        self.known: dict[Key, _Result] = {}
        self._path = path
        self._kind = kind
        asked = {"question": hashlib.sha256(msgspec.json.encode(question, order="sorted")).hexdigest()}
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole and msgspec.json.decode(whole[0]) != asked:
            raise ResultsError(
                f"{path}: results of another scenario, other costs or another version: expected the same; "
                "omit --resume to start a new search"
            )
        for line in whole[1:]:
            entry = msgspec.json.decode(line)
            name, trigger, seed = entry["key"]
            self.known[(name, trigger, seed)] = msgspec.convert(entry["result"], kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        if whole != lines:
            path.write_bytes(b"".join(whole))
        if not whole:
            path.write_bytes(msgspec.json.encode(asked) + b"\n")

    def add(self, key: Key, result: _Result) -> None:
        """Keeps a result, in memory and in the file."""
        self.known[key] = result
        with self._path.open("ab") as stream:
            stream.write(msgspec.json.encode({"key": key, "result": result}) + b"\n")


def key_of(task: Playable) -> Key:
    """What tells a task from others."""
    return task.candidate, task.trigger, task.seed


@contextmanager
def pool(processes: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that compute; none where one is enough. They leave Ctrl-C to who started them."""
    if processes == 1:
        yield None
        return
    # Spawned, because a thread may be drawing the progress bar.
    executor = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def play(
    tasks: Sequence[_Task],
    evaluate: Callable[[_Task], _Result],
    results: Results[_Result],
    executor: ProcessPoolExecutor | None,
    done: Callable[[], Any],
) -> None:
    """Sees to it that every task has a result; `done()` is called after each that had none.

    What is finished when KeyboardInterrupt comes has been kept.
    """
    missing = [task for task in tasks if key_of(task) not in results.known]
    if executor is None:
        for task in missing:
            results.add(key_of(task), evaluate(task))
            done()
        return
    waiting: dict[Future[_Result], _Task] = {executor.submit(evaluate, task): task for task in missing}
    while waiting:
        finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in finished:
            results.add(key_of(waiting.pop(future)), future.result())
            done()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
