"""What verifiers say of one webhook. Pure: the time is a value, and nothing is remembered here."""

from typing import Final

from bridge.verify.replay import ReplayCache
from bridge.verify.verdict import Clock, Verdict
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook

NO_TIME: Final = Clock(0.0, synchronised=False)
"""For a dry run: what is judged then is old, and its age says nothing."""
NONE_ACCEPTED: Final = ReplayCache()
"""For a dry run: nothing was accepted before."""


class Judge:
    """Asks each verifier once, however many routes name it."""

    __slots__ = ("_clock", "_replays", "_verdicts", "_webhook")

    def __init__(self, webhook: Webhook, clock: Clock, replays: ReplayCache) -> None:
        self._webhook = webhook
        self._clock = clock
        self._replays = replays
        self._verdicts: dict[str, Verdict] | None = None  # most webhooks meet no verifier

    def verdict(self, verifier: Verifier) -> Verdict:
        """What a verifier says of the webhook."""
        if self._verdicts is None:
            self._verdicts = {}
        verdict = self._verdicts.get(verifier.name)
        if verdict is None:
            verdict = verifier.verify(self._webhook, self._clock, self._replays)
            self._verdicts[verifier.name] = verdict
        return verdict
