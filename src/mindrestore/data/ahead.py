"""Work in a thread of its own, a few items ahead of whoever asks for them."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
PATIENCE = 0.1  # seconds, after which a thread that waits for room looks whether anybody still wants it


def ahead(items: Iterable[Item], most: int = 4) -> Iterator[Item]:
    """Iterate over ``items``, made by a thread that is at most ``most`` of them ahead.

    What is raised while an item is made is raised where it would have been. The thread begins with the first item that is
    asked for, and ends with the iterator.
    """
    made: queue.Queue = queue.Queue(most)
    unwanted = threading.Event()

    def put(entry: tuple) -> bool:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                made.put(entry, timeout=PATIENCE)
                return True
        return False

    def run() -> None:
        try:
            with contextlib.closing(iter(items)) if hasattr(items, "close") else contextlib.nullcontext(items) as source:
                for item in source:
                    if not put(("item", item)):
                        return
        except BaseException as error:  # the caller's, whatever it is
            put(("error", error))
        else:
            put(("end", None))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            kind, item = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        unwanted.set()
        thread.join()
