"""Certificates for a test, made by the `openssl` program."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: an authority, a server certificate for localhost, and one for a client."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """All of them, valid for a day."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    _openssl("req", "-x509", *_new_key(ca_key), "-subj", "/CN=test authority", "-days", "1", "-out", str(ca))
    made = {}
    for name, alternative in [("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client")]:
        key, request, cert = (folder / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
        extension = folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}\n")
        _openssl("req", "-new", *_new_key(key), "-subj", f"/CN={name}", "-out", str(request))
        signer = ["-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial", "-extfile", str(extension)]
        _openssl("x509", "-req", "-in", str(request), *signer, "-days", "1", "-out", str(cert))
        made[name] = (cert, key)
    return Certificates(ca, *made["server"], *made["client"])


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
