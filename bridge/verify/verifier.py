"""A verifier of the routing file: a scheme with its secrets, its window and its view of replays."""

from collections.abc import Sequence

from bridge.errors import ConfigError
from bridge.secret import Secret
from bridge.verify.keys import Claim
from bridge.verify.replay import ReplayCache
from bridge.verify.schemes import Naming, Scheme
from bridge.verify.verdict import Clock, Refusal, Verdict, Verified
from bridge.webhook import Webhook


class Verifier:
    """Judges webhooks. It keeps nothing of them: what was accepted is in the `ReplayCache`.

    Args:
        name: its name in the routing file.
        scheme: how the sender signs.
        secrets: any of them may have signed.
        window: seconds between sending and receiving, either way; None: any age will do.
            `scheme.window` is the usual one.
        refuse_replays: whether a delivery whose ID was accepted before is rejected.
            `scheme.naming is Naming.STRONG` is the usual answer: elsewhere a forger can change the ID, or an
            honest delivery can repeat one, as GitHub's redelivery button does.

    Raises:
        ConfigError: the scheme can't use one of these.
    """

    def __init__(
        self,
        name: str,
        scheme: Scheme,
        secrets: Sequence[Secret],
        *,
        window: float | None,
        refuse_replays: bool,
    ) -> None:
        if not secrets or not all(secret.reveal() for secret in secrets):
            raise ConfigError("a verifier needs secrets, none of them empty")
        if window is not None and scheme.window is None:
            raise ConfigError("this scheme signs no time, so it has no window")
        if refuse_replays and scheme.naming is Naming.NONE:
            raise ConfigError("this scheme has no ID to know a replay by")
        self.name = name
        self.window = window
        self.refuse_replays = refuse_replays
        self._scheme = scheme
        self._keys = scheme.keys(secrets)

    def verify(self, webhook: Webhook, clock: Clock, replays: ReplayCache) -> Verdict:
        """The verdict on a webhook; it never raises, whatever the webhook holds."""
        try:
            return self._verified(webhook, clock, replays)
        except Refusal as refusal:
            return refusal.verdict

    def accepted(self, webhook: Webhook, verdict: Verified, replays: ReplayCache) -> None:
        """To be called once for a verified webhook that was accepted, after every route has judged it."""
        if self.refuse_replays and verdict.sender_id is not None:
            replays.remember(self.name, webhook, verdict.sender_id)

    def _verified(self, webhook: Webhook, clock: Clock, replays: ReplayCache) -> Verified:
        claim = self._scheme.claim(webhook)
        if not self._keys.prove(claim):
            raise Refusal("bad-signature", "it was made with none of the secrets")
        deferred = self._age_is_deferred(webhook, claim, clock)
        self._check_replay(webhook, claim, replays)
        return Verified(claim.sender_id, claim.sent_at, deferred)

    def _age_is_deferred(self, webhook: Webhook, claim: Claim, clock: Clock) -> bool:
        """Whether the age can't be judged yet; Refusal where it can and is wrong."""
        if self.window is None:
            return False
        if claim.sent_at is None:
            raise Refusal("no-time", "the body says no time at which it was sent")
        if not webhook.late and not clock.synchronised:
            return True
        # The relay knew the time when it took in what we were not there to hear.
        age = (webhook.received_at if webhook.late else clock.now) - claim.sent_at
        if age > self.window:
            raise Refusal("too-old", f"sent {age:.0f} s before it came; the window is {self.window:g} s")
        if -age > self.window:
            raise Refusal("in-the-future", f"sent {-age:.0f} s ahead; the window is {self.window:g} s")
        return False

    def _check_replay(self, webhook: Webhook, claim: Claim, replays: ReplayCache) -> None:
        if not self.refuse_replays or claim.sender_id is None:
            return
        if replays.seen(self.name, webhook, claim.sender_id):
            raise Refusal("replayed", "a delivery with the same ID was accepted before")
