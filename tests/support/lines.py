"""A webhook as the daemon tells of it, and the same from a stranger who means harm."""

from typing import Any

LINE: dict[str, Any] = {
    "number": 7,
    "id": "log-7",
    "received_at": 1_700_000_000.0,
    "from": "relay",
    "bucket": "doorbell",
    "input": "",
    "method": "POST",
    "path": "/",
    "routes": ["ring"],
    "outcome": "delivered",
    "latency": 0.0042,
    "deliveries": [
        {"route": "ring", "target": "mqtt:home", "where": "a", "outcome": "delivered", "attempts": 1}
        | {"reason": ""}
    ],
    "rejected": [],
}
HOSTILE = "a\x1b[2J\x9b\r\n\u202eb"


def hostile(value: Any) -> Any:
    """The same, with every text a stranger's."""
    match value:
        case dict():
            return {name: hostile(one) for name, one in value.items()}
        case list():
            return [hostile(one) for one in value]
        case str():
            return HOSTILE
    return value
