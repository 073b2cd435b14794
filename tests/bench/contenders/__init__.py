"""What is compared: each contender receives the same webhooks and publishes them to the same broker."""

from tests.bench.contenders.base import Contender
from tests.bench.contenders.bridge import Bridge
from tests.bench.contenders.ceiling import Ceiling
from tests.bench.contenders.node_red import NodeRed
from tests.bench.contenders.scripts import NodeScript, PythonScript

CONTENDERS: tuple[Contender, ...] = (Bridge(), NodeRed(), NodeScript(), PythonScript(), Ceiling())
