from pathlib import Path

import pytest

from bridge.doctor.examination import Patient, examine
from bridge.doctor.finding import Check, State
from tests.support.doctor import installation, listener, wrong


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_a_sound_installation_has_nothing_wrong_and_nobody_notices_the_visit(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound, listener(sound.broker) as seen:
        before = files(tmp_path)
        findings = await sound.findings()
        assert {check for check, one in findings.items() if one.state is not State.GOOD} == {
            Check.RELAY_TLS,  # ws:// has none
            Check.BROKER_SUBSCRIBERS,  # no daemon runs
            Check.MEMORY_CGROUP,
        }
        assert set(findings) == set(Check)
        assert wrong(findings) == set()
        assert seen.messages == []
        assert [one.method for one in sound.service.requests] == ["HEAD"]
        assert files(tmp_path) == before
        assert not sound.state.exists()


async def test_findings_come_in_the_order_of_the_checks(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        found = await examine(Patient(sound.file, sound.state))
    order = list(Check)
    assert [one.check for one in found] == sorted((one.check for one in found), key=order.index)


@pytest.mark.parametrize("text", ["routes: [", "routes: []\nrelay: {key: a, secret: '${file:gone}'}\n"])
async def test_a_wrong_routing_file_is_the_first_finding_and_the_only_peer_it_names(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(text)
    found = await examine(Patient(file, tmp_path))
    assert (found[0].check, found[0].state) == (Check.ROUTING_FILE, State.BAD)
    assert "relay-bridge check" in found[0].remedy
    assert {one.check for one in found[1:]} <= {Check.SECRET_FILES, Check.MEMORY_CGROUP}
