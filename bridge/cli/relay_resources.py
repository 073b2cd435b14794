"""`relay-bridge relay init|token|bucket|input|export|import|audit`: what the self-hosted relay serves.

They change the relay's state folder, whether the relay runs or not; one that runs notices. So they need the
rights of the relay's user, and no token.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click
import orjson

from bridge.errors import ConfigError
from bridge.selfhosted.audit import AUTHOR, Author
from bridge.selfhosted.documents import Document, bucket_document, token_document
from bridge.selfhosted.engines import check_nats
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Settings
from bridge.selfhosted.settings import read_settings
from bridge.selfhosted.shelf import DocumentShelf, Shelf
from bridge.selfhosted.vault import vault_of

RELAY_FILE: Final = Path("/etc/relay-bridge/relay.yaml")
VERSION: Final = 1
"""Of an export."""

_STARTER: Final = """\
# The self-hosted relay: relay-bridge relay -c {file}
# Where it faces the internet, use `tls`, or put a reverse proxy with TLS in front of it.

listen: 127.0.0.1:8080

# What came, and what is made by `relay-bridge relay token|bucket|input` or by the HTTP interface.
state: {state}

# Who may subscribe, and change things by the HTTP interface: key and secret. A token each.
tokens:
  {key}: {secret}

buckets:
  doorbell:
    id: {bucket}
    inputs:
      Default public endpoint:
        id: {input}       # its URL ends with this: whoever knows it can send
"""


def _shelf(settings: Settings, file: Path) -> DocumentShelf:
    """What the state folder holds, or NATS."""
    user = os.environ.get("SUDO_USER") or f"uid {os.getuid()}"
    AUTHOR.set(Author(f"{user} (command line)"))
    if settings.engine is not None:
        check_nats()
        from bridge.selfhosted.nats.resources import shelf_in_nats  # few relays need nats-py

        return click.get_current_context().with_resource(shelf_in_nats(settings.engine))
    if settings.state is None:
        raise ConfigError(f"{file} has no `state`: there is nowhere to keep anything")
    return Shelf(settings.state, vault_of(settings.state_key))


def _registry(file: Path) -> Registry:
    """The resources that a settings file and its state folder hold."""
    settings = read_settings(file, _Unset())
    registry = Registry(
        settings.tokens, settings.buckets, _shelf(settings, file), ephemeral=settings.engine is None
    )
    registry.read()
    return registry


class _Unset(Mapping[str, str]):
    """The environment, with a stand-in for the secrets that only the relay's service has."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, "-")

    def __iter__(self) -> Any:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def _print(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


@click.command("init")
@click.option(
    "--state", default="/var/lib/relay", show_default=True, help="The folder to keep everything in."
)
@click.pass_obj
def init(file: Path, state: str) -> None:
    """Write a settings file with fresh IDs and a token."""
    key, secret = "pi", secrets.token_urlsafe(32)
    text = _STARTER.format(
        file=file, state=orjson.dumps(state).decode(), key=key, secret=secret, bucket=uuid4(), input=uuid4()
    )
    # It holds a secret, and another file's place is not ours to take.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    click.echo(f"{file} is there. Key {key}, secret {secret}")


@click.group("token")
def token() -> None:
    """Who may subscribe."""


@token.command("create")
@click.option("--description", default="", help="What it is for.")
@click.option("--bucket", "buckets", multiple=True, help="Confine it to this bucket; may be given again.")
@click.pass_obj
def create_token(file: Path, description: str, buckets: tuple[str, ...]) -> None:
    """Make a token, and print its key and secret: the only time that the secret can be read."""
    said = {"description": description, "scopes": {"buckets": list(buckets)}}
    made, secret = _registry(file).create_token(said)
    _print({"key": made.key, "secret": secret})


@token.command("list")
@click.pass_obj
def list_tokens(file: Path) -> None:
    """Print every token, without secrets."""
    catalog = _registry(file).catalog
    _print([token_document(one) for one in (*catalog.declared_tokens, *catalog.made_tokens.values())])


@token.command("remove")
@click.argument("key")
@click.pass_obj
def remove_token(file: Path, key: str) -> None:
    """Remove a token."""
    _registry(file).remove_token(key)


@click.group("bucket")
def bucket() -> None:
    """What webhooks are sent to, and subscribed to."""


@bucket.command("create")
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@click.option("--ephemeral", is_flag=True, help="Keep its webhooks in memory only.")
@click.pass_obj
def create_bucket(file: Path, name: str, description: str, *, ephemeral: bool) -> None:
    """Make a bucket with one input, and print it."""
    said = {"name": name, "description": description, "ephemeral": ephemeral}
    _print(bucket_document(_registry(file).create_bucket(said)))


@bucket.command("list")
@click.pass_obj
def list_buckets(file: Path) -> None:
    """Print every bucket with its inputs and outputs."""
    _print([bucket_document(one) for one in _registry(file).catalog.buckets])


@bucket.command("remove")
@click.argument("name")
@click.pass_obj
def remove_bucket(file: Path, name: str) -> None:
    """Remove a bucket with all that is in it."""
    _registry(file).remove_bucket(name)


@click.group("input")
def input_() -> None:
    """The public endpoints of a bucket."""


@input_.command("create")
@click.argument("bucket_name")
@click.argument("name")
@click.option("--host", default="", help="A host name of its own.")
@click.option("--path", default="", help="A path of its own, such as /github.")
@click.option("--rate-limit", default="", help="Such as 10/s or 60/5m.")
@click.pass_obj
def create_input(file: Path, bucket_name: str, name: str, host: str, path: str, rate_limit: str) -> None:
    """Make an input, and print it."""
    said = {"name": name, "custom_domain": host, "path_prefix": path, "rate_limit": rate_limit}
    _print(_registry(file).put_part(bucket_name, "inputs", None, said))


@input_.command("list")
@click.argument("bucket_name")
@click.pass_obj
def list_inputs(file: Path, bucket_name: str) -> None:
    """Print the inputs of a bucket."""
    found = _registry(file).catalog.bucket(bucket_name)
    if found is None:
        raise ConfigError(f"there is no bucket {bucket_name!a}")
    _print(bucket_document(found)["inputs"])


@input_.command("remove")
@click.argument("bucket_name")
@click.argument("name")
@click.pass_obj
def remove_input(file: Path, bucket_name: str, name: str) -> None:
    """Remove an input."""
    _registry(file).remove_part(bucket_name, "inputs", name)


@click.command("export")
@click.pass_obj
def export(file: Path) -> None:
    """Print all that was made, as JSON: with every ID, the hashes of tokens and the secrets of buckets."""
    catalog = _registry(file).catalog
    made = [one for one in catalog.buckets if not catalog.is_declared(one)]
    _print(
        {
            "version": VERSION,
            "tokens": [token_document(one, secrets=True) for one in catalog.made_tokens.values()],
            "buckets": [bucket_document(one, secrets=True) for one in made],
        }
    )


@click.command("import")
@click.argument("exported", type=click.File("rb"), default="-")
@click.pass_obj
def import_(file: Path, exported: Any) -> None:
    """Add or replace what an export holds. IDs stay, so URLs and tokens do too."""
    said = _parsed(exported.read())
    registry = _registry(file)
    tokens, buckets = (_documents(said, name) for name in ("tokens", "buckets"))
    for one in tokens:
        registry.import_token(one)
    for one in buckets:
        registry.import_bucket(one)
    click.echo(f"{len(tokens)} tokens, {len(buckets)} buckets", file=sys.stderr)


@click.command("audit")
@click.pass_obj
def audit(file: Path) -> None:
    """Print who changed what, the oldest first: one JSON object a line."""
    for change in _shelf(read_settings(file, _Unset()), file).changes():
        click.echo(orjson.dumps(change).decode())


def _parsed(data: bytes) -> Document:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"the export is not JSON: {error}") from None
    if not isinstance(said, dict) or said.get("version") != VERSION:
        raise ConfigError("this is no export of a relay")
    return said


def _documents(said: Document, name: str) -> list[Document]:
    found = said.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ConfigError(f"{name}: a list of objects is needed")
    return found


COMMANDS: Final[tuple[click.Command, ...]] = (init, token, bucket, input_, export, import_, audit)
