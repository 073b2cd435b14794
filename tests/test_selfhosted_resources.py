from uuid import UUID

import pytest

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Token, derived_id


@pytest.mark.parametrize(
    ("key", "secret", "admitted"),
    [
        ("pi", "s3cr3t", True),
        ("pi", "s3cr3", False),
        ("pi", "", False),
        ("PI", "s3cr3t", False),
        ("", "s3cr3t", False),
        ("pié", "s3cr3t", False),
        ("pi", "s3cr3t\ud800", False),
    ],
)
def test_a_token_admits_its_own_credentials_only(key: str, secret: str, admitted: bool) -> None:
    assert Token("pi", Secret("s3cr3t")).admits(key, Secret(secret)) is admitted


def test_a_secret_is_not_in_a_tokens_text() -> None:
    assert "s3cr3t" not in repr(Token("pi", Secret("s3cr3t")))


def test_derived_ids_are_uuids_that_tell_names_apart() -> None:
    assert UUID(derived_id("a")).version == 5
    assert derived_id("a", "bc") != derived_id("ab", "c")
    assert derived_id("a", "b") == derived_id("a", "b")


def test_a_bucket_by_name_has_one_public_endpoint() -> None:
    bucket = Bucket.named("doorbell")
    assert [one.name for one in bucket.inputs] == ["Default public endpoint"]
    assert bucket.inputs[0].id != bucket.id
