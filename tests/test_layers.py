"""The walls of the code: who may import whom, and what the pure modules may not touch."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "bridge"

# Lowest first. A module imports from lower layers, and from its own.
LAYERS: list[tuple[str, ...]] = [
    ("bridge.version", "bridge.errors", "bridge.secret", "bridge.counters"),
    ("bridge.folders", "bridge.logs", "bridge.crashpoint", "bridge.web"),
    ("bridge.webhook", "bridge.bodies"),
    ("bridge.message",),
    ("bridge.relay.frames", "bridge.relay.protocol", "bridge.relay.backoff"),
    ("bridge.verify",),
    ("bridge.clock_sync", "bridge.complaints"),
    ("bridge.routing",),
    ("bridge.delivery.retry", "bridge.delivery.lane"),
    ("bridge.config",),
    ("bridge.preview",),
    ("bridge.trial",),
    ("bridge.journal", "bridge.targets.base"),
    ("bridge.targets", "bridge.relay"),
    ("bridge.delivery",),
    ("bridge.passages",),
    (
        "bridge.intake",
        "bridge.replies",
        "bridge.exhumation",
        "bridge.follow",
        "bridge.injection",
        "bridge.gaps",
        "bridge.silence",
        "bridge.last_good",
        "bridge.notify",
        "bridge.watch",
        "bridge.control",
    ),
    ("bridge.reload",),
    ("bridge.status",),
    ("bridge.operations",),
    ("bridge.console",),
    ("bridge.home",),
    ("bridge.daemon",),
    ("bridge.selfhosted",),
    ("bridge.demo",),
    ("bridge.doctor", "bridge.setup"),
    ("bridge.cli", "bridge.__main__"),
]

PURE: tuple[str, ...] = (
    "bridge.webhook",
    "bridge.bodies",
    "bridge.message",
    "bridge.relay.protocol",
    "bridge.relay.frames",
    "bridge.routing",
)
PURE += ("bridge.relay.backoff", "bridge.delivery.retry", "bridge.delivery.lane")
PURE += ("bridge.relay.gap", "bridge.relay.entries")
IMPURE = {
    "asyncio",
    "socket",
    "sqlite3",
    "aiohttp",
    "websockets",
    "os",
    "time",
    "threading",
    "pathlib",
    "random",
}

# The self-hosted relay is a product of its own: it shares the protocol, and nothing of the bridge.
SELFHOSTED_MAY: tuple[str, ...] = (
    "bridge.errors",
    "bridge.secret",
    "bridge.version",
    "bridge.webhook",
    "bridge.relay.protocol",
)
SELFHOSTED_MAY += ("bridge.relay.frames", "bridge.selfhosted")
# It reads its settings again when they change; watching files knows nothing of the bridge.
SELFHOSTED_MAY += ("bridge.watch",)
# Its page is guarded as the console is; that knows of neither.
SELFHOSTED_MAY += ("bridge.web",)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return found


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def layer(name: str) -> int:
    """The layer with the longest matching prefix."""
    best, level = "", -1
    for index, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if within(name, (prefix,)) and len(prefix) > len(best):
                best, level = prefix, index
    return level


def bridge_imports(path: Path) -> set[str]:
    return {name for name in imports(path) if name in MODULES and name != "bridge"}


@pytest.mark.parametrize("name", [name for name in MODULES if name != "bridge"])
def test_a_module_imports_only_from_its_own_layer_and_below(name: str) -> None:
    own = layer(name)
    assert own >= 0, f"{name} has no layer"
    above = {other for other in bridge_imports(MODULES[name]) if layer(other) > own}
    assert not above, f"{name} imports from above: {sorted(above)}"


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, PURE)])
def test_pure_modules_touch_no_clock_and_no_io(name: str) -> None:
    touched = {imported.partition(".")[0] for imported in imports(MODULES[name])} & IMPURE
    assert not touched, f"{name} is pure and imports {sorted(touched)}"


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, ("bridge.selfhosted",))])
def test_the_selfhosted_relay_shares_only_the_protocol(name: str) -> None:
    shared = {other for other in bridge_imports(MODULES[name]) if not within(other, SELFHOSTED_MAY)}
    assert not shared, f"{name} imports {sorted(shared)}"


def test_only_declared_dependencies_are_imported() -> None:
    declared = {"aiohttp", "click", "jinja2", "orjson", "paho", "yaml", "watchdog", "websockets"}
    declared |= {"prometheus_client"}  # imported when the metrics are first asked for
    declared |= {"bcrypt"}  # of the extra `relay`, imported late
    declared |= {"cryptography"}  # of the extra `encryption`, imported late
    declared |= {"nats"}  # of the extra `nats`, imported late
    declared |= {"multidict", "yarl"}  # aiohttp's own vocabulary: header mappings and URLs
    known = declared | set(sys.stdlib_module_names) | {"bridge"}
    for name, path in MODULES.items():
        foreign = {found.partition(".")[0] for found in imports(path)} - known - {""}
        assert not foreign, f"{name} imports {sorted(foreign)}"
