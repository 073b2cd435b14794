"""What the load generator itself can do: it sends to a reader that discards."""

import tempfile
import time
from pathlib import Path

from tests.bench.contenders.base import Place
from tests.bench.contenders.ceiling import Ceiling
from tests.bench.load import Load
from tests.bench.processes import Process

COUNT = 200_000


def generator_rate(core: int | None) -> float:
    """Webhooks a second to a null reader."""
    with tempfile.TemporaryDirectory() as name:
        load = Load(0)
        try:
            place = Place(Path(name), load.relay.url, 0, None)
            command = Ceiling().command(place)
            environment = {**command.environment, "MQTT_PORT": ""}
            with Process(command.argv, environment, place.folder / "log", core):
                load.wait(lambda: load.relay.subscriber is not None, 20)
                start = time.monotonic()
                load.burst(COUNT, 60)
                return load.tally.sent / (time.monotonic() - start)
        finally:
            load.close()
