"""Runs commands in threads of which one works at a time: which one goes on is decided at every storage step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Killed(BaseException):
    """Ends a command as SIGKILL ends a process: no handler of the code under test catches it."""


class StorageError(Exception):
    """An error of the storage, which the code under test may handle."""


@dataclass
class Process:
    """A command as one process. It dies at its step `kill_at`; at its step `fail_at` the storage raises an error.

    A step is a number, or the beginning of its text: then the first such step.
    """

    name: str
    kill_at: int | str | None = None
    fail_at: int | str | None = None
    steps: int = 0
    is_dead: bool = False
    shared: dict[str, Any] = field(default_factory=dict)


class Task:
    """A thread of a process; `name` is `process.number`."""

    def __init__(self, process: Process, number: int, body: Callable[[], object]) -> None:
        self.process, self.body = process, body
        self.name = f"{process.name}.{number}"
        self.turn = threading.Semaphore(0)
        self.is_done, self.waits = False, 0
        self.result: object = None
        self.error: BaseException | None = None
        self.is_ready: Callable[[], bool] = _at_once


def _at_once() -> bool:
    return True


def _is_at(wanted: int | str | None, number: int, step: str) -> bool:
    return step.startswith(wanted) if isinstance(wanted, str) else number == wanted


class Choice(Protocol):
    """Chooses who goes on: `current` is None where it has ended or waits; `at` names the step for a record, `step` says
    what it does."""

    def __call__(self, current: Task | None, ready: list[Task], at: str, step: str) -> Task: ...


class Scheduler:
    """One task runs at a time; it hands over at `pause`, when it waits and when it ends."""

    def __init__(self, choose: Choice, log: Callable[[str], None] | None = None) -> None:
        self.running: Task | None = None
        self._choose, self._log = choose, log
        self._tasks: list[Task] = []
        self._threads: list[threading.Thread] = []
        self._main = threading.Semaphore(0)

    def spawn(self, process: Process, body: Callable[[], object]) -> Task:
        """Adds a task, which starts when it is chosen."""
        number = sum(t.process is process for t in self._tasks)
        task = Task(process, number, body)
        self._tasks.append(task)
        thread = threading.Thread(target=self._work, args=(task,), name=task.name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return task

    def run(self) -> None:
        """Runs all tasks to their ends."""
        if not all(t.is_done for t in self._tasks):
            first = next(t for t in self._tasks if not t.is_done)
            self._pass_on(None, f"{first.name}#start")
            self._main.acquire()
        for thread in self._threads:
            thread.join()

    def pause(self, step: str) -> None:
        """A storage step of the running task, before it takes effect: it may die here, fail, or wait for others."""
        task = self.running
        if task is None:  # outside of a run: nothing is interleaved
            return
        process = task.process
        self._end_if_dead(task)
        process.steps += 1
        if _is_at(process.kill_at, process.steps, step):
            self.write(f"{task.name:6} #{process.steps} KILLED before {step}")
            process.is_dead = True
            raise Killed
        self._pass_on(task, f"{task.name}#{process.steps}", step)
        self._end_if_dead(task)
        if _is_at(process.fail_at, process.steps, step):
            self.write(f"{task.name:6} #{process.steps} FAILED: {step}")
            process.fail_at = None
            raise StorageError(f"the storage failed: {step}")
        self.write(f"{task.name:6} #{process.steps} {step}")

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Lets others go on until the condition holds."""
        task = self.running
        assert task is not None
        task.is_ready = is_ready
        if not is_ready():
            task.waits += 1
            self._pass_on(task, f"{task.name}#wait{task.waits}", waits=True)
        task.is_ready = _at_once
        self._end_if_dead(task)

    def note(self, text: str) -> None:
        """Writes a line of the log for the running task."""
        if self.running is not None:
            self.write(f"{self.running.name:6}     {text}")

    def write(self, line: str) -> None:
        """Writes a line of the log."""
        if self._log is not None:
            self._log(line)

    @staticmethod
    def _end_if_dead(task: Task) -> None:
        if task.process.is_dead:
            raise Killed

    def _work(self, task: Task) -> None:
        task.turn.acquire()
        try:
            if not task.process.is_dead:
                task.result = task.body()
        except BaseException as e:
            task.error = e
        task.is_done = True
        self._pass_on(None, f"{task.name}#end")

    def _pass_on(self, current: Task | None, at: str, step: str = "", *, waits: bool = False) -> None:
        """Hands the turn to the task that is chosen, and waits for the next turn of `current`."""
        ready = [t for t in self._tasks if not t.is_done and (t.process.is_dead or t.is_ready())]
        if not ready:
            assert current is None, "all tasks wait for each other"
            self.running = None
            self._main.release()
            return
        chosen = self._choose(None if waits else current, ready, at, step)
        if chosen is current:
            return
        self.running = chosen
        chosen.turn.release()
        if current is not None:
            current.turn.acquire()
