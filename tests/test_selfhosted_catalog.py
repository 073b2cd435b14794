import pytest

from bridge.secret import Secret
from bridge.selfhosted.catalog import PREFIX, Catalog
from bridge.selfhosted.resources import Bucket, Input, Token

HOOKS = Bucket(
    "hooks", "h", (Input("any", "in-1", path="/github"), Input("own", "in-2", host="h.org", path="/github"))
)
WHOLE = Bucket(
    "whole", "w", (Input("all", "in-3", host="w.org"), Input("deep", "in-4", host="w.org", path="/a/b"))
)


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("x", f"{PREFIX}in-1", ("in-1", "/")),
        ("x", f"{PREFIX}in-1/sub/", ("in-1", "/sub/")),
        ("x", f"{PREFIX}in-9", None),
        ("x", "/github", ("in-1", "/")),
        ("x", "/github/sub", ("in-1", "/sub")),
        ("x", "/githubber", None),
        ("H.org:8080", "/github", ("in-2", "/")),
        ("w.org", "/", ("in-3", "/")),
        ("w.org", "/a", ("in-3", "/a")),
        ("w.org", "/a/b/c", ("in-4", "/c")),
        ("w.org", "/github", ("in-3", "/github")),
        ("x", "/", None),
    ],
)
def test_an_address_leads_to_an_input(host: str, path: str, found: tuple[str, str] | None) -> None:
    endpoint = Catalog((), (HOOKS, WHOLE)).endpoint(host, path)
    assert (endpoint and (endpoint.entry.id, endpoint.path)) == found


def test_what_is_declared_wins() -> None:
    same_name = Bucket("hooks", "other", (Input("i", "in-7"),))
    same_input = Bucket(
        "made", "m", (Input("i", "in-1"), Input("j", "in-8"), Input("k", "in-9", path="/github"))
    )
    catalog = Catalog([Token("pi", Secret("a"))], [HOOKS], [Token("pi", hash="x")], [same_name, same_input])
    assert [one.name for one in catalog.buckets] == ["hooks", "made"]
    assert catalog.bucket("hooks") == HOOKS
    made = catalog.bucket("made")
    assert made is not None
    assert [one.id for one in made.inputs] == ["in-8"]
    assert catalog.shadowed == ("hooks", "made")
    assert catalog.made_tokens == {}
    assert catalog.is_declared(HOOKS)
    assert not catalog.is_declared(made)


def test_a_bucket_conflicts_with_others_but_not_with_itself() -> None:
    catalog = Catalog((), [HOOKS], (), [WHOLE])
    assert catalog.conflict(HOOKS) == catalog.conflict(WHOLE) == ""
    assert "name or ID" in catalog.conflict(Bucket("h", "new", ()))
    assert "address" in catalog.conflict(Bucket("new", "new", (Input("i", "new", host="w.org"),)))
    assert catalog.conflict(Bucket("new", "new", (Input("i", "new", host="x.org"),))) == ""


def test_a_token_sees_its_buckets() -> None:
    catalog = Catalog((), [HOOKS, WHOLE])
    assert catalog.visible(Token("a")) == [HOOKS, WHOLE]
    assert catalog.visible(Token("a", buckets=frozenset({"h"}))) == [HOOKS]
    assert catalog.visible(Token("a", buckets=frozenset({"whole", "?"}))) == [WHOLE]
