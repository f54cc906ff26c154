"""How many requests each client may make: a token bucket a client, kept as one number, in bounded memory."""

from collections import OrderedDict

MOST_CLIENTS = 10_000


def draw(full_at: float, now: float, slack: float, interval: float) -> tuple[float, float]:
    """Take one token of a bucket that is full again at `full_at`: when it then is, and 0, or the seconds until there is a token.

    No bucket is emptier than empty by the rate that holds: what a slower one left behind keeps nobody waiting.
    """
    if full_at < now:
        full_at = now
    wait = full_at - now - slack
    if wait < 1e-9:  # sums of floats: a client that waits as long as it was told shall not miss by a hair
        return full_at + interval, 0.0
    return (full_at, wait) if wait <= interval else (now + slack + interval, interval)


class Buckets:
    """`rate` requests a second for each client, and up to `burst` at once (the generic cell rate algorithm).

    Of each client the time is kept at which its bucket is full again. A client that is idle that long is as one never seen, so
    that forgetting the one that was idle longest, where there are too many, lets nobody have more than his due; only where more
    than `most` clients draw within one burst does the eldest of them begin anew.
    """

    def __init__(self, rate: float, burst: float, *, most: int = MOST_CLIENTS) -> None:
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self.hold_by(rate, burst)

    def hold_by(self, rate: float, burst: float) -> None:
        """Have this rate hold from now on; buckets stay as full as they are, and none is emptier than this rate lets it be."""
        self._interval = 1 / rate if rate else 0.0
        self._slack = max(burst - 1, 0) * self._interval

    def take(self, client: str, now: float) -> float:
        """Take one token at a time that never goes back [s]. Gives 0 where there was one, else the seconds until there is."""
        if not self._interval:
            return 0.0
        self._full_at[client], wait = draw(self._full_at.pop(client, now), now, self._slack, self._interval)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._full_at)
