"""Which addresses are refused, and what TLS trusts."""

import socket
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.targets.http_connector import ForbiddenAddress, is_forbidden, open_socket, tls_context


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fd00:ec2::254",
    ],
)
def test_link_local_and_metadata_addresses_are_refused(address: str) -> None:
    assert is_forbidden(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(ForbiddenAddress):
        open_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80)))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "192.168.1.5",
        "10.0.0.2",
        "172.16.0.1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "93.184.216.34",
    ],
)
def test_this_machine_the_lan_and_the_internet_are_fine(address: str) -> None:
    assert not is_forbidden(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with open_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))) as opened:
        assert opened.family == family


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_authority_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        tls_context(file)
