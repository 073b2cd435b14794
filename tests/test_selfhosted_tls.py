"""The relay's own TLS, over real connections."""

import logging
import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bridge.selfhosted.resources import Settings, TlsFiles
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.tls import TlsError
from tests.support.relay_clients import TOKEN, bodies, running, settings_of, subscribed
from tests.support.tls import Certificates, make_certificates
from tests.support.waiting import eventually, eventually_async


@pytest.fixture(name="old", scope="module")
def _old(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("old"))


@pytest.fixture(name="new", scope="module")
def _new(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("new"))


def place(folder: Path, made: Certificates) -> TlsFiles:
    """Copy a certificate to where the relay has it."""
    files = TlsFiles(folder / "fullchain.pem", folder / "privkey.pem")
    shutil.copy(made.server_cert, files.certificate)
    shutil.copy(made.server_key, files.key)
    return files


def settings(files: TlsFiles) -> Settings:
    return replace(settings_of("a"), tls=files)


def protect(key: Path) -> None:
    """With a password."""
    command = ["openssl", "pkcs8", "-topk8", "-passout", "pass:x"]
    run = subprocess.run(command, input=key.read_bytes(), stdout=subprocess.PIPE, check=True)
    key.write_bytes(run.stdout)


def trusting(made: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=made.ca)


async def post(relay: SelfHostedRelay, made: Certificates, text: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(relay.webhook_url("a"), data=text, ssl=trusting(made)) as answer,
    ):
        assert answer.status == 200


async def shows(relay: SelfHostedRelay, made: Certificates) -> bool:
    """Whether a new connection is shown a certificate of this authority."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{relay.url}/healthz", ssl=trusting(made)):
            return True
    except aiohttp.ClientConnectorCertificateError:
        return False


async def test_webhooks_and_sockets_over_tls(tmp_path: Path, old: Certificates) -> None:
    async with running(settings(place(tmp_path, old))) as relay:
        assert relay.url.startswith("https://")
        assert relay.socket_url.startswith("wss://")
        client = await subscribed(relay, ["a"], ssl=trusting(old))
        await post(relay, old, "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()
        plain = relay.webhook_url("a").replace("https", "http")
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.post(plain, data="in the clear")
        assert relay.counters.received == 1


def copied(folder: Path, made: Certificates) -> None:
    place(folder, made)


def swapped(folder: Path, made: Certificates) -> None:
    """As certbot does: the files are links to numbered ones."""
    for name, file in (("fullchain.pem", made.server_cert), ("privkey.pem", made.server_key)):
        (folder / f"next-{name}").symlink_to(file)
        (folder / f"next-{name}").replace(folder / name)


@pytest.mark.parametrize("renew", [copied, swapped])
async def test_a_renewed_certificate_is_shown_and_open_connections_stay(
    tmp_path: Path, old: Certificates, new: Certificates, renew: Callable[[Path, Certificates], None]
) -> None:
    async with running(settings(place(tmp_path, old))) as relay:
        client = await subscribed(relay, ["a"], ssl=trusting(old))
        assert not await shows(relay, new)
        renew(tmp_path, new)
        await eventually_async(lambda: shows(relay, new))
        assert not await shows(relay, old)
        await post(relay, new, "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()


async def test_files_that_do_not_belong_together_change_nothing(
    tmp_path: Path, old: Certificates, new: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    files = place(tmp_path, old)
    async with running(settings(files)) as relay:
        shutil.copy(new.server_cert, files.certificate)
        await eventually(lambda: "the certificate is left as it was" in caplog.text)
        assert await shows(relay, old)
        shutil.copy(new.server_key, files.key)
        await eventually_async(lambda: shows(relay, new))
        files.certificate.write_text("no certificate")
        caplog.clear()
        await eventually(lambda: "the certificate is left as it was" in caplog.text)
        assert await shows(relay, new)
    assert new.server_key.read_text().splitlines()[1] not in caplog.text


@pytest.mark.parametrize("broken", ["missing", "empty", "mixed up", "protected"])
def test_files_that_can_not_be_used_are_an_error_at_the_start(
    tmp_path: Path, old: Certificates, new: Certificates, broken: str
) -> None:
    files = place(tmp_path, old)
    if broken == "missing":
        files.key.unlink()
    elif broken == "empty":
        files.certificate.write_text("")
    elif broken == "mixed up":
        shutil.copy(new.server_key, files.key)
    else:
        protect(files.key)
    with pytest.raises(TlsError, match=r"fullchain\.pem and .*privkey\.pem: ."):
        SelfHostedRelay(settings(files))


async def test_a_stranger_who_speaks_no_tls_is_no_line(
    tmp_path: Path, old: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(settings(place(tmp_path, old))) as relay:
        before = len(caplog.records)
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.get(relay.url.replace("https", "http"))
        assert await shows(relay, old)
        assert len(caplog.records) == before
    assert TOKEN.secret.reveal() not in caplog.text
