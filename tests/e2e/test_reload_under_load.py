"""The routing file is edited again and again while webhooks flow: none is lost, none sees half of two."""

import asyncio
import itertools
import json
import os
from collections import Counter
from pathlib import Path

from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually

EDITS = 200
TORN = "# torn"


def routing(head: str, broker: int, version: int) -> str:
    """Two routes that must always be of the same version."""
    return head + (
        f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker}"}}}}\n'
        "routes:\n"
        "  - name: first\n"
        "    match: {bucket: doorbell}\n"
        f'    send: [{{mqtt: "first/v{version}"}}]\n'
        "  - name: second\n"
        "    match: {bucket: doorbell}\n"
        f'    send: [{{mqtt: "second/v{version}"}}]\n'
    )


class Editor:
    """Changes a file in the ways that people and tools do."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._serial = itertools.count()

    def in_place(self, text: str) -> None:
        if self._file.is_symlink():
            self._file.unlink()
        self._file.write_text(text)

    def torn(self, text: str) -> None:
        """Half of the file, and a moment later all of it."""
        if self._file.is_symlink():
            self._file.unlink()
        with self._file.open("w") as file:
            file.write(text[: len(text) // 2])
            file.flush()
            file.write(text[len(text) // 2 :])

    def renamed(self, text: str) -> None:
        new = self._file.with_suffix(".tmp")
        new.write_text(text)
        new.replace(self._file)

    def symlinked(self, text: str) -> None:
        """Another file behind the same name."""
        real = self._file.with_name(f"release-{next(self._serial)}.yaml")
        real.write_text(text)
        link = self._file.with_suffix(".link")
        link.symlink_to(real)
        os.replace(link, self._file)  # noqa: PTH105  # Path.replace reads better, but this is the call itself

    def invalid(self, text: str) -> None:
        self._file.write_text(text.replace("send:", "sned:")) if not self._file.is_symlink() else None


async def test_two_hundred_edits_lose_nothing_and_mix_nothing(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell") as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        sender() as session,
    ):
        head = relay_section(relay)
        url = relay.webhook_url("doorbell")
        async with BridgeProcess(tmp_path / "bridge", routing(head, broker.port, 0)) as bridge:
            pid = bridge.pid
            stop = asyncio.Event()
            sent = 0

            async def send_all() -> None:
                nonlocal sent
                while not stop.is_set():
                    assert await post(session, url, b'{"n": %d}' % sent) == 200
                    sent += 1

            sending = asyncio.create_task(send_all())
            editor = Editor(bridge.file)
            ways = itertools.cycle(
                [editor.in_place, editor.renamed, editor.invalid, editor.torn, editor.symlinked]
            )
            for version in range(1, EDITS + 1):
                next(ways)(routing(head, broker.port, version))
                answer = await bridge.ask("reload")
                assert answer["outcome"] in {"applied", "unchanged", "rejected"}
                goal = sent + 2

                def flows_on(goal: int = goal) -> bool:
                    return sent >= goal

                await eventually(flows_on)
            editor.renamed(routing(head, broker.port, EDITS + 1))
            answer = await bridge.ask("reload")
            stop.set()
            await sending
            await seen.wait(2 * sent, 30)
            status = await bridge.ask("status")
            assert bridge.pid == pid
            assert status["configuration"]["generation"] > EDITS // 2
            connects = broker.log.count("as relay-bridge-")
            assert connects == 1, "the broker's connection is untouched by edits of routes"
            assert await bridge.stop() == 0

    versions: dict[int, Counter[str]] = {}
    for message in seen.messages:
        number = json.loads(message.payload)["n"]
        versions.setdefault(number, Counter())[message.topic] += 1
    assert sorted(versions) == list(range(sent))
    for number, topics in versions.items():
        assert sorted(topic.partition("/")[0] for topic in topics) == ["first", "second"], (number, topics)
        assert len({topic.partition("/")[2] for topic in topics}) == 1, (
            f"{number} is of two versions: {topics}"
        )
        assert all(count == 1 for count in topics.values())
    assert len({topic for topics in versions.values() for topic in topics}) > EDITS // 2
    conserved(status)
