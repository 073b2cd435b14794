"""Buckets and tokens as JSON documents in the shape of the service's REST API, and back. No I/O.

The same document is what the interface answers, what is kept on disk and what an export holds; only the
latter two have the secrets in it. Real clients leave fields out, send null, write headers as lists or as
plain text, and send read-only fields back: all of that is understood, and unknown fields are skipped.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from bridge.secret import Secret
from bridge.selfhosted.fields import BadResource, Fields
from bridge.selfhosted.resources import (
    ANY_OUTPUT,
    DEFAULT_INPUT_NAME,
    LONGEST_TIMEOUT,
    Auth,
    Bucket,
    Input,
    Output,
    Token,
)
from bridge.selfhosted.rules import BadRule, parse_rule
from bridge.selfhosted.template import check_template
from bridge.selfhosted.values import (
    BODILESS,
    LONGEST_BODY,
    check_host,
    check_id,
    check_name,
    check_path,
    check_url,
    parse_rate,
    rate_text,
)

Document = dict[str, Any]

ANY_OUTPUT_WORD: Final = "anyOutput"
"""The service's word for ANY_OUTPUT."""
LONGEST_CALL: Final = 60
MOST_RETRIES: Final = 10
_DEFAULT_RETRIES: Final = 3
_LONGEST_TEXT: Final = 1000


# To documents


def bucket_document(bucket: Bucket, *, secrets: bool = False) -> Document:
    """A bucket with its inputs and outputs."""
    times = {"created_at": bucket.created, "updated_at": bucket.updated}
    return {
        "id": bucket.id,
        "name": bucket.name,
        "description": bucket.description,
        **times,
        "auth": _auth_document(bucket.auth, secrets),
        "ephemeral": bucket.ephemeral,
        "inputs": [{**input_document(bucket, one), **times} for one in bucket.inputs],
        "outputs": [{**output_document(bucket, one), **times} for one in bucket.outputs],
    }


def input_document(bucket: Bucket, entry: Input) -> Document:
    """An input."""
    waits = entry.response_from_output
    answering = ANY_OUTPUT_WORD if waits == ANY_OUTPUT else bucket.output_id(waits or "")
    return {
        "id": entry.id,
        "name": entry.name,
        "bucket_id": bucket.id,
        "status_code": entry.status,
        "body": entry.body,
        "headers": _listed(entry.headers),
        "response_from_output": answering,
        "timeout": entry.timeout,
        "template": entry.template,
        "custom_domain": entry.host,
        "path_prefix": entry.path,
        "rate_limit": rate_text(entry.rate) if entry.rate else "",
    }


def output_document(bucket: Bucket, output: Output) -> Document:
    """An output."""
    return {
        "id": bucket.output_id(output.name),
        "name": output.name,
        "bucket_id": bucket.id,
        "destination": output.destination,
        "internal": output.internal,
        "lock_path": output.lock_path,
        "headers": _listed(output.headers),
        "rules": output.rules.document() if output.rules else None,
        "disabled": output.disabled,
        "timeout": int(output.timeout),
        "retries": output.retries,
    }


def token_document(token: Token, *, secrets: bool = False) -> Document:
    """A token, without its secret; with its hash where it is kept."""
    document: Document = {
        "id": token.key,
        "description": token.description,
        "scopes": {"buckets": sorted(token.buckets or ()), "tunnels": []},
        "api_access": "enabled" if token.api else "disabled",
        "active": token.active,
        "created_at": token.created,
        "updated_at": token.created,
    }
    return {**document, "hash": token.hash} if secrets else document


def _auth_document(auth: Auth | None, secrets: bool) -> Document:
    if auth is None:
        return {"type": "none"}
    if auth.username is None:
        return {"type": "token", **({"token": auth.secret.reveal()} if secrets else {})}
    password = {"password": auth.secret.reveal()} if secrets else {}
    return {"type": "basic", "username": auth.username, **password}


def _listed(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


# From documents


def bucket_from(document: Any) -> Bucket:
    """A bucket.

    Raises:
        BadResource: as all of these.
    """
    said = Fields(document, "")
    name = said.checked("name", check_name)
    bucket_id = said.checked("id", check_id)
    outputs = tuple(_output_from(one) for one in said.objects("outputs"))
    inputs = tuple(_input_from(one, bucket_id, outputs) for one in said.objects("inputs"))
    _distinct([one.name for one in outputs], "outputs: a name is there twice")
    _distinct([one.name for one in inputs], "inputs: a name is there twice")
    _distinct(
        [one.id for one in inputs] + [one.id for one in outputs], "inputs, outputs: an ID is there twice"
    )
    return Bucket(
        name,
        bucket_id,
        inputs,
        outputs,
        auth=_auth_from(said),
        ephemeral=said.boolean("ephemeral", default=False),
        description=said.text("description", _LONGEST_TEXT),
        created=said.number("created_at", 0, 2**40, 0),
        updated=said.number("updated_at", 0, 2**40, 0),
    )


def new_input(input_id: str) -> Document:
    """The input that a new bucket has."""
    return {"id": input_id, "name": DEFAULT_INPUT_NAME}


def token_from(document: Any) -> Token:
    """A token, with its hash where the document holds one."""
    said = Fields(document, "")
    scopes = Fields(document.get("scopes") or {}, "scopes.")
    access = said.choice("api_access", ("enabled", "disabled"))
    return Token(
        said.checked("id", check_name),
        hash=said.text("hash", 200),
        description=said.text("description", _LONGEST_TEXT),
        buckets=frozenset(scopes.texts("buckets")) or None,
        api=access == "enabled",
        active=said.boolean("active", default=True),
        created=said.number("created_at", 0, 2**40, 0),
    )


def _input_from(said: Fields, bucket_id: str, outputs: Collection[Output]) -> Input:
    status = said.number("status_code", 200, 599, 200, unset=0)
    body = said.text("body", LONGEST_BODY)
    if body and status in BODILESS:
        raise BadResource(f"{said.place}body: an answer with status {status} has no body")
    template = said.boolean("template", default=False)
    if template:
        said.checked("body", check_template)
    return Input(
        said.checked("name", check_name),
        said.checked("id", check_id),
        status,
        body,
        said.headers("headers"),
        response_from_output=_waits_for(said, bucket_id, outputs),
        timeout=said.seconds("timeout", LONGEST_TIMEOUT),
        template=template,
        host=said.checked("custom_domain", check_host, optional=True),
        path=said.checked("path_prefix", check_path, optional=True),
        rate=parse_rate(rate) if (rate := said.checked("rate_limit", parse_rate, optional=True)) else None,
    )


def _waits_for(said: Fields, bucket_id: str, outputs: Collection[Output]) -> str | None:
    word = said.text("response_from_output", 100)
    if not word:
        return None
    if word in (ANY_OUTPUT, ANY_OUTPUT_WORD):
        return ANY_OUTPUT
    bucket = Bucket("", bucket_id, (), tuple(outputs))
    for one in outputs:
        if word in (one.name, bucket.output_id(one.name)):
            return one.name
    raise BadResource(
        f"{said.place}response_from_output: {ANY_OUTPUT_WORD} is needed, or the ID of an output"
    )


def _output_from(said: Fields) -> Output:
    try:
        rules = parse_rule(said.raw("rules"))
    except BadRule as error:
        raise BadResource(f"{said.place}rules: {error}") from None
    return Output(
        said.checked("name", check_name),
        said.checked("destination", check_url),
        said.boolean("internal", default=True),
        id=said.checked("id", check_id),
        lock_path=said.boolean("lock_path", default=False),
        headers=said.headers("headers"),
        rules=rules,
        disabled=said.boolean("disabled", default=False),
        timeout=float(said.number("timeout", 1, LONGEST_CALL, 10, unset=0)),
        retries=said.number("retries", 0, MOST_RETRIES, _DEFAULT_RETRIES, unset=-1),
    )


def _auth_from(bucket: Fields) -> Auth | None:
    said = Fields(bucket.raw("auth") or {}, "auth.")
    kind = said.choice("type", ("none", "basic", "token"))
    match kind:
        case "basic":
            username, password = said.text("username", 100), said.text("password", 1000)
            if not username or ":" in username or not password:
                raise BadResource("auth: a username without a colon and a password are needed")
            return Auth(username, Secret(password))
        case "token":
            if not (token := said.text("token", 1000)):
                raise BadResource("auth.token: this can't be empty")
            return Auth(None, Secret(token))
    return None


def _distinct(names: Collection[str], message: str) -> None:
    if len(set(names)) != len(names):
        raise BadResource(message)
