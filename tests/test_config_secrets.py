from pathlib import Path

import pytest

from bridge.config.secrets import Secrets
from bridge.errors import ConfigError

FILES = {
    Path("/etc/secret"): b"from a file\n",
    Path("/base/near"): b"near\r\n",
    Path("/cred/mqtt-password"): b"from a credential\n\n",
    Path("/etc/empty"): b"\n",
    Path("/etc/binary"): b"\xff\xfe",
}


def read(path: Path) -> bytes:
    if path not in FILES:
        raise ConfigError(f"{path} can't be read: No such file or directory")
    return FILES[path]


SECRETS = Secrets(
    Path("/base"),
    {"NAME": "value", "EMPTY": "", "CREDENTIALS_DIRECTORY": "/cred", "BYTES": "\udcff", "NESTED": "${NAME}"},
    read,
)


def fill(text: str, secrets: Secrets = SECRETS) -> tuple[str, list[tuple[int, str]]]:
    complaints: list[tuple[int, str]] = []
    return secrets.fill(text, lambda offset, message: complaints.append((offset, message))), complaints


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("Bearer ${NAME}, ${NAME}", "Bearer value, value"),
        ("${file:/etc/secret}", "from a file"),
        ("${file:near}", "near"),
        ("${credential:mqtt-password}", "from a credential\n"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME {{ body.x }}", "$NAME {{ body.x }}"),
        ("${NESTED}", "${NAME}"),
    ],
)
def test_references_are_filled_in_once(text: str, filled: str) -> None:
    assert fill(text) == (filled, [])


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a ${MISSING}", 2, "the environment variable MISSING is not set"),
        ("${EMPTY}", 0, "${EMPTY} is empty"),
        ("${BYTES}", 0, "the environment variable BYTES is not UTF-8 text"),
        ("${file:/none}", 0, "/none can't be read: No such file or directory"),
        ("${file:/etc/empty}", 0, "${file:/etc/empty} is empty"),
        ("${file:/etc/binary}", 0, "/etc/binary is not UTF-8 text"),
        ("${credential:none}", 0, "/cred/none can't be read: No such file or directory"),
        ("${credential:../etc/secret}", 0, "this is none of ${NAME}, ${file:/path} and ${credential:name}"),
        ("${credential:..}", 0, "this is none of ${NAME}, ${file:/path} and ${credential:name}"),
        ("x${", 1, "this is none of ${NAME}, ${file:/path} and ${credential:name}"),
        ("${A-B}", 0, "this is none of ${NAME}, ${file:/path} and ${credential:name}"),
        ("${env:NAME}", 0, "this is none of ${NAME}, ${file:/path} and ${credential:name}"),
    ],
)
def test_what_can_not_be_filled_in(text: str, offset: int, message: str) -> None:
    assert fill(text)[1] == [(offset, message)]


def test_every_reference_of_a_text_is_complained_about() -> None:
    assert [offset for offset, _ in fill("${A} ${NAME} ${B}")[1]] == [0, 13]


def test_without_credentials() -> None:
    _, complaints = fill("${credential:x}", Secrets(environment={}))
    assert complaints == [(0, "there are no credentials: CREDENTIALS_DIRECTORY is not set")]


def test_real_files_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "fits").write_text("x" * 65536)
    (tmp_path / "large").write_text("x" * 65537)
    secrets = Secrets(tmp_path, {})
    assert fill("${file:fits}", secrets) == ("x" * 65536, [])
    [(_, message)] = fill("${file:large}", secrets)[1]
    assert message.endswith("large is larger than 65536 bytes")
