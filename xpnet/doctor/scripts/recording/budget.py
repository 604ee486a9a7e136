"""How much processor time all looking at a script may take: search, record, and measure."""

import os
import time

FREE_SECONDS, SHARE = 1.0, 0.5  # that looking may take, and of the script's own
SEARCHING, FIRST = 0.8, 0.7  # parts of that for the search, and for the first steps


class Budget:
    """What looking has taken of its time, in this process and its children."""

    def __init__(self) -> None:
        self._started = self._since = processor_seconds()
        self._spent, self._on = 0.0, False

    def look(self, on: bool) -> None:
        """Begin to look, or stop that."""
        self._spent += (processor_seconds() - self._since) * self._on
        self._since, self._on = processor_seconds(), on

    def allows(self, part: float = 1.0, more: float = 0.0) -> bool:
        """Return whether looking may go on, or take so many seconds more; or a part of it all."""
        self.look(self._on)
        own = self._since - self._started - self._spent
        return self._spent + more <= part * FREE_SECONDS + SHARE * own


def processor_seconds() -> float:
    """Return the time that this process and its children have used."""
    return time.process_time() + sum(os.times()[2:4])
