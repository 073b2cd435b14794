import ssl
from pathlib import Path

import pytest

from bridge.config.model import ServiceSettings
from bridge.doctor.finding import Check, Finding, State
from bridge.doctor.http import check_service
from bridge.secret import Secret
from tests.support.http import recording_server
from tests.support.mosquitto import free_port
from tests.support.tls import make_certificates


async def finding(url: str, ca: Path | None = None) -> Finding:
    headers = (("Authorization", Secret("Bearer canary")),)
    [found] = await check_service(ServiceSettings("local", url, headers, ca=ca))
    assert found.check is Check.HTTP_REACHED
    return found


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_whatever_it_answers_somebody_is_there(status: int) -> None:
    async with recording_server(status=status) as server:
        found = await finding(f"{server.url}/hook")
        [request] = server.requests
    assert (found.state, found.detail) == (State.GOOD, f"HTTP {status}")
    assert (request.method, request.path) == ("HEAD", "/")
    assert "authorization" not in request.headers


async def test_a_refused_connection() -> None:
    found = await finding(f"http://127.0.0.1:{free_port()}/hook?token=canary")
    assert found.state is State.BAD
    assert "refused" in found.detail.lower()
    assert "start the service" in found.remedy
    assert "canary" not in repr(found)


async def test_certificates(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server_cert, made.server_key)
    async with recording_server(tls=tls) as server:
        untrusted = await finding(server.url)
        trusted = await finding(server.url, made.ca)
        missing = await finding(server.url, tmp_path / "gone.pem")
    assert "certificate refused" in untrusted.detail
    assert [one.state for one in (untrusted, trusted, missing)] == [State.BAD, State.GOOD, State.BAD]
