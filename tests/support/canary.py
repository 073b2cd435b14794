"""Looking for what must not be there, byte by byte."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote


def forms(canary: str) -> Iterator[bytes]:
    """A text as it may stand in a file: plain, in base64 at any offset, in UTF-16, or escaped for a URL."""
    data = canary.encode()
    assert len(data) >= 12, "what is shorter is found by chance"
    yield data
    yield data.hex().encode()
    yield canary.encode("utf-16-le")
    yield quote(canary, safe="").encode()
    for offset in range(3):
        # The first and the last group depend on the neighbours.
        yield base64.b64encode(b"\0" * offset + data)[4:-4]


def files_with(folder: Path, canary: str) -> list[str]:
    """Names of the files below a folder that hold a text in any form."""
    wanted = list(forms(canary))
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files, f"nothing is in {folder}"
    contents = {one.name: one.read_bytes() for one in files}
    return sorted(name for name, content in contents.items() if any(form in content for form in wanted))
