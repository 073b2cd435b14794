"""What is studied, each in a module of its own; a new study is a module and a line here."""

from tests.bench.growth.studies import backlog, bodies, reload, routes, targets
from tests.bench.growth.studies.base import Study

NAMES = ("routes", "bodies", "targets", "backlog", "reload")


def studies(most: int) -> tuple[Study, ...]:
    """All of them; no backlog holds more than `most` webhooks."""
    return (routes.STUDY, bodies.STUDY, targets.STUDY, backlog.study(most), reload.STUDY)
