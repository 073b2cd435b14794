"""How a delivery that would be made, and an answer that would be given, are shown."""

from bridge.preview import Response, Sending
from bridge.routing.match import CONCEALED


def sending_lines(sending: Sending) -> list[str]:
    """For people: where it goes, then what it holds."""
    facts, target = sending.facts, sending.plan.target
    if not facts:
        return [sending.address]
    if "http" in facts:
        headers = [f"  {name}: {value}" for name, value in facts["headers"].items()]
        return [f"{target} <- {facts['method']} {facts['http']}", *headers, f"  {sending.text}"]
    flags = f"qos {facts['qos']}{', retained' if facts['retain'] else ''}"
    return [f"{target} <- {facts['mqtt']} ({flags})", f"  {sending.text}"]


def sending_json(sending: Sending) -> dict[str, object]:
    """For machines."""
    plan = sending.plan
    if plan.message is None:
        return {"target": plan.target, "error": str(plan.error)}
    payload = CONCEALED if sending.secret else sending.payload.decode("utf-8", "replace")
    return {"target": plan.target, "order_key": plan.order_key, **sending.facts, "payload": payload}


def response_lines(response: Response) -> list[str]:
    """For people: who is waited for, then what the route itself answers."""
    asked = f"what {response.asked} answers within {response.timeout:g} s, else " if response.asked else ""
    if response.error is not None:
        return [f"reply: {asked}none: {response.error}"]
    headers = [f"  {name}: {value}" for name, value in response.facts["headers"].items()]
    body = [f"  {response.text}"] if response.body else []
    return [f"reply: {asked}status {response.facts['status']}", *headers, *body]


def response_json(response: Response) -> dict[str, object]:
    """For machines."""
    shown: dict[str, object] = {**response.facts}
    if response.asked:
        shown |= {"target": response.asked, "timeout": response.timeout}
    if response.error is not None:
        return shown | {"error": str(response.error)}
    return shown | {"body": CONCEALED if response.secret else response.body.decode("utf-8", "replace")}
