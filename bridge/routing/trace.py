"""The dry run of a route table: what becomes of a webhook at each route, and why. Pure."""

from dataclasses import dataclass
from enum import Enum

from bridge.errors import RenderError
from bridge.routing.judge import NO_TIME, NONE_ACCEPTED, Judge
from bridge.routing.match import Mismatch
from bridge.routing.reply import Replying
from bridge.routing.scope import Scope
from bridge.routing.table import UNMATCHED, Plan, Route, RouteTable
from bridge.verify.verdict import Rejected
from bridge.webhook import Webhook


class Verdict(Enum):
    """What became of a route in a dry run."""

    MATCHED = "matched"
    MISMATCH = "mismatch"
    FAILED = "failed"
    """Its `when` could not be evaluated."""
    REJECTED = "rejected"
    """Its verifier said no."""
    DISABLED = "disabled"
    NOT_REACHED = "not reached"
    """A final route matched before, or rejected."""


@dataclass(frozen=True, slots=True)
class RouteTrace:
    """One route's part in a dry run."""

    route: str
    verdict: Verdict
    mismatch: Mismatch | None = None
    """The comparison that failed; its source is `when` where that was false."""
    error: RenderError | None = None
    plans: tuple[Plan, ...] = ()
    rejection: Rejected | None = None
    reply: Replying | None = None
    """How the sender is answered, where this route answers."""


def explain(table: RouteTable, webhook: Webhook) -> list[RouteTrace]:
    """Every route and what became of it; then what `unmatched` sends, if it does."""
    traces: list[RouteTrace] = []
    judge = Judge(webhook, NO_TIME, NONE_ACCEPTED)
    taken = ended = False
    answered = not webhook.can_be_answered
    for route in table.routes:
        if ended:
            traces.append(RouteTrace(route.name, Verdict.NOT_REACHED))
            continue
        trace = _trace(route, webhook, judge, answered=answered)
        traces.append(trace)
        answered = answered or trace.reply is not None
        if trace.verdict in {Verdict.MATCHED, Verdict.REJECTED}:
            taken, ended = True, route.final
    if not taken and (plans := table.unmatched_plans(webhook)):
        traces.append(RouteTrace(UNMATCHED, Verdict.MATCHED, plans=tuple(plans)))
    return traces


def _trace(route: Route, webhook: Webhook, judge: Judge, *, answered: bool) -> RouteTrace:
    if not route.enabled:
        return RouteTrace(route.name, Verdict.DISABLED)
    if not route.condition.test(webhook):
        return RouteTrace(route.name, Verdict.MISMATCH, route.condition.failure(webhook))
    verdict = None if route.verifier is None else judge.verdict(route.verifier)
    if isinstance(verdict, Rejected):
        return RouteTrace(route.name, Verdict.REJECTED, rejection=verdict)
    scope = Scope(webhook, route.name)
    try:
        if not route.wants(scope):
            return RouteTrace(route.name, Verdict.MISMATCH, mismatch=_when(route, scope))
    except RenderError as error:
        return RouteTrace(route.name, Verdict.FAILED, error=error)
    plans = route.plans(scope)
    reply = None if answered else route.replying(scope, plans)
    return RouteTrace(route.name, Verdict.MATCHED, plans=tuple(plans), reply=reply)


def _when(route: Route, scope: Scope) -> Mismatch | None:
    if route.when is None:
        return None
    return Mismatch("when", "is true", route.when.source, (route.when.value(scope),))
