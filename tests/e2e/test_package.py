"""The Debian package: what is in it, and its life in a Debian root from the installation to the purge.

Every day the root is this machine's own, under an overlay; with RELAY_BRIDGE_BUDGET above 1 it is a fresh one
from the mirror. Both need root.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.selfhosted.server import SelfHostedRelay
from bridge.version import __version__
from tests.chaos.budget import BUDGET
from tests.support.http import recording_server
from tests.support.mosquitto import free_port
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

PROJECT = Path(__file__).parent.parent.parent
HOME = "usr/lib/relay-bridge"
NEWER = "999.1"
WEBHOOKS = 5

pytestmark = [
    pytest.mark.skipif(
        not Path("/etc/debian_version").exists(), reason="the package is for Debian: run it there"
    ),
    pytest.mark.timeout(600),
]


def done(*command: str | Path, **environment: str) -> str:
    """Run a command to its good end; what it printed."""
    ended = subprocess.run(
        list(map(str, command)), env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    build = PROJECT / "systemd" / "deb" / "build.sh"
    (folder / "work").mkdir()
    quick = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "TMPDIR": str(folder / "work")}
    done("sh", build, folder, sys.executable, "-m", "pip", **quick)
    assert list((folder / "work").iterdir()) == [], "the build cleans up"
    (package,) = folder.glob("*.deb")
    return package


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    folder = package.parent / "unpacked"
    done("dpkg-deb", "--raw-extract", package, folder)
    return folder


# What is in it


def test_it_is_named_as_it_says(package: Path) -> None:
    architecture = done("dpkg", "--print-architecture").strip()
    assert package.name == f"relay-bridge_{__version__}_{architecture}.deb"
    assert done("dpkg-deb", "--field", package, "Version").strip() == __version__


def test_it_depends_on_the_python_that_its_native_code_is_for(unpacked: Path, package: Path) -> None:
    (folder,) = (unpacked / HOME / "lib").iterdir()
    minor = int(folder.name.removeprefix("python3."))
    depends = done("dpkg-deb", "--field", package, "Depends")
    assert f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})" in depends
    native = list(folder.rglob("*.so"))
    assert native
    assert all(f"cpython-3{minor}" in file.name or "abi3" in file.name for file in native)


def test_nobody_but_root_can_change_what_it_brings(package: Path) -> None:
    lines = [line.split() for line in done("dpkg-deb", "--contents", package).splitlines()]
    assert len(lines) > 100
    assert {owner for _, owner, *_ in lines} == {"root/root"}
    assert [line for line in lines if line[0][0] != "l" and ("w" in line[0][5] or "w" in line[0][8])] == []


def test_nothing_in_it_remembers_where_it_was_built(unpacked: Path, package: Path) -> None:
    place = str(package.parent / "work").encode()
    files = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [
        path for path in files if place in path.read_bytes() or str(PROJECT).encode() in path.read_bytes()
    ] == []


def test_a_start_compiles_nothing(unpacked: Path) -> None:
    sources = list((unpacked / HOME).rglob("*.py"))
    assert len(sources) > 100
    compiled = [list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")) for source in sources]
    assert all(len(found) == 1 for found in compiled)


def test_its_files_are_the_projects_and_have_their_checksums(unpacked: Path) -> None:
    for unit in (PROJECT / "systemd").glob("*.service"):
        assert (unpacked / "lib/systemd/system" / unit.name).read_text() == unit.read_text()
    for kind in ("sysusers.d", "tmpfiles.d"):
        ours = PROJECT / "systemd" / kind / "relay-bridge.conf"
        assert (unpacked / "usr/lib" / kind / "relay-bridge.conf").read_text() == ours.read_text()
    assert (unpacked / "DEBIAN/conffiles").read_text() == "/etc/relay-bridge/bridge.yaml\n"
    done("sh", "-c", 'cd "$1" && md5sum --quiet -c DEBIAN/md5sums', "sh", unpacked)


# Its life


@dataclass(frozen=True)
class Root:
    """A Debian to install into."""

    path: Path

    def run(self, *command: str, status: int = 0) -> str:
        """A command as root; what it wrote on both streams."""
        ended = subprocess.run(
            ["chroot", str(self.path), *command],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == status, f"{command}: {ended.stdout}"
        return ended.stdout

    def install(self, package: Path) -> str:
        """Installs a package file."""
        shutil.copy(package, self.path / "root/relay-bridge.deb")
        said = self.run("dpkg", "--install", "--force-confold", "/root/relay-bridge.deb")
        (self.path / "root/relay-bridge.deb").unlink()
        return said

    def traces(self) -> list[str]:
        """Everything of the package's name in the places that packages use, its users included."""
        names = "-name", "*relay-bridge*", "-not", "-path", "/var/lib/dpkg/*"
        found = self.run("find", "/etc", "/usr", "/var", "/run", "/lib/systemd", "-xdev", *names).split()
        users = (self.path / "etc/passwd").read_text() + (self.path / "etc/group").read_text()
        return found + re.findall(r"^relay-bridge[^:]*", users, re.MULTILINE)


@contextmanager
def mounted(place: Path, *arguments: str | Path) -> Iterator[None]:
    done("mount", *arguments, place)
    try:
        yield
    finally:
        done("umount", place)


@contextmanager
def own_system(folder: Path) -> Iterator[Path]:
    """This machine's own system; what is written goes elsewhere."""
    upper, work, place = (folder / name for name in ("upper", "work", "root"))
    for made in (upper, work, place):
        made.mkdir()
    with mounted(place, "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}"):
        yield place


@contextmanager
def fresh_system(folder: Path) -> Iterator[Path]:
    """A minimal system of this machine's release, from its mirror."""
    sources = "".join(path.read_text() for path in Path("/etc/apt").glob("sources.list*/*.sources"))
    mirror = re.search(r"^URIs: *(\S+)", sources, re.MULTILINE)
    suite = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    assert mirror
    assert suite
    place = folder / "root"
    wanted = "--include=python3,systemd,ca-certificates"
    done("debootstrap", "--variant=minbase", wanted, suite[1], place, mirror[1])
    yield place


@pytest.fixture(params=["own system", *(["fresh system"] if BUDGET > 1 else [])])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    if os.geteuid() != 0:
        pytest.skip("installing a package needs root: run this test as root")
    system = own_system if request.param == "own system" else fresh_system
    with system(tmp_path) as place, mounted(place / "proc", "-t", "proc", "proc"):
        yield Root(place)


@pytest.fixture(scope="module")
def newer(unpacked: Path) -> Path:
    """The same package with a higher version, inside and outside."""
    folder = unpacked.parent / "newer"
    shutil.copytree(unpacked, folder, symlinks=True)
    for name in ("DEBIAN/control", *(str(p.relative_to(folder)) for p in folder.rglob("bridge/version.py"))):
        file = folder / name
        file.write_text(file.read_text().replace(__version__, NEWER))
    compiling = (
        "-m",
        "compileall",
        "-q",
        "-f",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        folder,
        "-p",
        "/",
    )
    done("/usr/bin/python3", *compiling, next(folder.rglob("bridge/version.py")))
    package = unpacked.parent / "newer.deb"
    done("dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", folder, package)
    return package


@asynccontextmanager
async def service(root: Root) -> AsyncIterator[None]:
    """The daemon with the service's user, folders and umask; it ends well."""
    runtime = root.path / "run/relay-bridge"
    runtime.mkdir(exist_ok=True)
    shutil.chown(runtime, *owner(root))
    environment = "STATE_DIRECTORY=/var/lib/relay-bridge", "RUNTIME_DIRECTORY=/run/relay-bridge"
    process = await asyncio.create_subprocess_exec(
        *("chroot", "--userspec=relay-bridge:relay-bridge", str(root.path), "env", "-i", *environment),
        *("sh", "-c", "umask 0077; exec /usr/bin/relay-bridge run"),
    )
    try:
        await eventually((runtime / "control.sock").exists, 30)
        yield
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def owner(root: Root) -> tuple[int, int]:
    user, group = (int(root.run("id", option, "relay-bridge")) for option in ("-u", "-g"))
    return user, group


async def pending(root: Root, number: int) -> None:
    """Wait until the daemon is subscribed and owes so many deliveries."""

    async def found() -> bool:
        status = json.loads(await asyncio.to_thread(root.run, "relay-bridge", "status", "--format", "json"))
        owed = status["targets"]["http:shop"]["pending"]
        return bool(status["relay"]["state"] == "subscribed" and owed == number)

    await eventually_async(found, 30, every=0.1)


def configure(root: Root, relay: SelfHostedRelay, port: int) -> str:
    """An administrator's edit, in place as an editor that keeps owner and mode does it."""
    file = root.path / "etc/relay-bridge/bridge.yaml"
    text = (
        relay_section(relay) + f"services: {{shop: {{url: 'http://127.0.0.1:{port}'}}}}\n"
        "routes: [{name: ring, match: {bucket: doorbell}, send: [{http: /ring, service: shop}]}]\n"
    )
    file.write_text(text)
    return text


async def test_installed_upgraded_removed_and_purged(root: Root, package: Path, newer: Path) -> None:
    before = root.traces()
    assert "then: systemctl start relay-bridge" in root.install(package)
    assert root.run("relay-bridge", "--version").strip() == f"relay-bridge, version {__version__}"
    etc = root.path / "etc/relay-bridge"
    user, group = owner(root)
    file = (etc / "bridge.yaml").stat()
    assert (file.st_uid, file.st_gid, file.st_mode & 0o7777) == (0, group, 0o640)
    # Without credentials there is nothing to run yet, and `check` names them.
    assert "RELAY_KEY" in root.run("relay-bridge", "check", status=78)

    port = free_port()
    async with running_relay("doorbell") as relay, sender() as session:
        edited = configure(root, relay, port)
        root.run("relay-bridge", "check")
        async with service(root):
            await pending(root, 0)
            for number in range(WEBHOOKS):
                await post(session, relay.webhook_url("doorbell"), b"%d" % number)
            await pending(root, WEBHOOKS)

        # An upgrade keeps the journal and the edited file.
        assert "systemctl start" not in root.install(newer)
        assert root.run("relay-bridge", "--version").strip() == f"relay-bridge, version {NEWER}"
        assert (etc / "bridge.yaml").read_text() == edited
        async with recording_server(port=port) as shop, service(root):
            await eventually(lambda: len(shop.requests) >= WEBHOOKS, 30)
            assert [request.body for request in shop.requests] == [b"%d" % n for n in range(WEBHOOKS)]
            await pending(root, 0)

    state = root.path / "var/lib/relay-bridge"
    assert {(path.stat().st_uid, path.stat().st_mode & 0o077) for path in state.iterdir()} == {(user, 0)}
    root.run("dpkg", "--remove", "relay-bridge")
    assert not (root.path / "usr/bin/relay-bridge").exists()
    assert not (root.path / HOME).exists()
    assert (etc / "bridge.yaml").read_text() == edited
    assert (state / "journal.db").exists()
    root.run("dpkg", "--purge", "relay-bridge")
    assert root.traces() == before
