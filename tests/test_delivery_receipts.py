from dataclasses import replace

from bridge.delivery.receipts import Receipts
from tests.support.deliveries import delivery
from tests.support.relay import a_webhook


def test_a_webhook_is_accepted_once_all_of_its_deliveries_are_safe() -> None:
    told: list[str] = []
    receipts = Receipts(told.append)
    first, second = delivery(1, webhook=a_webhook(7)), delivery(2, webhook=a_webhook(7))
    receipts.expect(first)
    receipts.expect(second)
    receipts.safe(first)
    receipts.safe(first)
    assert receipts.owes("7")
    assert told == []
    receipts.safe(second)
    assert not receipts.owes("7")
    assert told == ["7"]
    receipts.safe(second)
    assert told == ["7"]


def test_a_webhook_without_an_id_is_not_counted() -> None:
    told: list[str] = []
    receipts = Receipts(told.append)
    nameless = delivery(1, webhook=replace(a_webhook(), id=""))
    receipts.expect(nameless)
    receipts.safe(nameless)
    assert not receipts.owes("")
    assert told == []
