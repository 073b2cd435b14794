"""How much is tried. One variable for everything: 1 (the default) for every run, 100 for a night."""

import os
from typing import Final

BUDGET: Final = max(1, int(os.environ.get("RELAY_BRIDGE_BUDGET", "1")))


def budgeted(everyday: int) -> int:
    """A count that suits every run, grown by the budget."""
    return everyday * BUDGET


def time_limit(everyday: float) -> float:
    """Seconds after which a test that scales with the budget is stuck."""
    return everyday * BUDGET
