"""How much processor time all looking at a script may take: search, record, and measure."""

import os
import time

FREE_SECONDS, SHARE = 0.7, 0.5  # that looking may take, and of the script's own
TO_MEND = 4.0  # that it may take where copies are compared by what they learn at the end
SEARCHING, FIRST = 0.6, 0.7  # parts of that for the search, and for the first steps


class Budget:
    """What looking has taken of its time, in this process and its children."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = FREE_SECONDS if seconds is None else seconds
        self._started, self.spent = processor_seconds(), 0.0

    def allows(self, part: float = 1.0, more: float = 0.0) -> bool:
        """Return whether looking may go on, or take so many seconds more; or a part of it all."""
        own = processor_seconds() - self._started - self.spent
        return self.spent + more <= part * self.seconds + SHARE * own


def processor_seconds() -> float:
    """Return the time that this process and its children have used."""
    return time.process_time() + children_seconds()


def children_seconds() -> float:
    """Return the time that children have used that have ended."""
    return sum(os.times()[2:4])
