"""Who looks on while deliveries come to their ends. Pure."""

from collections.abc import Sequence
from typing import Final, Protocol

from bridge.message import Delivery, Failure
from bridge.routing.table import Plan
from bridge.webhook import Webhook


class Witness(Protocol):
    """Is told of each delivery's fate, on the path: it must be quick and must not raise."""

    def settled(self, delivery: Delivery, outcome: str, reason: str = "") -> None:
        """It came to its end, which happens once.

        Args:
            delivery: the delivery.
            outcome: `delivered`, `dead`, `expired` or `evicted`.
            reason: why it is dead, as `code: text`; holds no secret and no control character.
        """

    def delayed(self, delivery: Delivery, failure: Failure) -> None:
        """A try failed and will be repeated."""

    def repeated(self, webhook: Webhook, plans: Sequence[Plan]) -> None:
        """These plans are not carried out: that was done when the webhook came before."""


class Nobody:
    """Looks away."""

    def settled(self, delivery: Delivery, outcome: str, reason: str = "") -> None:
        """Ignores it."""

    def delayed(self, delivery: Delivery, failure: Failure) -> None:
        """Ignores it."""

    def repeated(self, webhook: Webhook, plans: Sequence[Plan]) -> None:
        """Ignores it."""


NOBODY: Final[Witness] = Nobody()
