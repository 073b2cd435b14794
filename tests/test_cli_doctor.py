import asyncio
import tempfile
from pathlib import Path

import aiohttp
from aiohttp import web

from bridge.selfhosted.server import SelfHostedRelay
from tests.support.cli import ESCAPE, Done, run, running
from tests.support.doctor import CANARY, Installation, installation
from tests.support.relays import SECRET, post, sender
from tests.support.waiting import eventually


async def doctor(installed: Installation, *arguments: str, runtime: str = "") -> Done:
    def visit() -> Done:
        home = str(installed.folder / "home")
        return run("doctor", "-c", installed.file, *arguments, XDG_STATE_HOME=home, XDG_RUNTIME_DIR=runtime)

    return await asyncio.to_thread(visit)


async def test_a_sound_installation(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        done = await doctor(sound)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("\nnothing is wrong\n")
    assert "✓ broker-acl " in done.out
    assert "✗" not in done.out
    assert ESCAPE not in done.out


async def test_what_is_wrong_has_its_remedy_and_no_secret_is_shown(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        (tmp_path / "mqtt-password").chmod(0o644)
        done = await doctor(sound)
        machine = await doctor(sound, "--format", "json")
    assert done.status == machine.status == 1
    assert (
        f"✗ secret-files        {tmp_path}/mqtt-password: others can read it (mode 0644)\n    → " in done.out
    )
    assert done.out.endswith("\n1 to mend\n")
    [wrong] = [one for one in machine.json()["findings"] if one["state"] == "bad"]
    assert machine.json()["ok"] is False
    assert (wrong["check"], wrong["subject"]) == ("secret-files", f"{tmp_path}/mqtt-password")
    assert "chmod" in wrong["remedy"]
    for secret in (CANARY, SECRET):
        assert secret not in done.out + done.err + machine.out + machine.err


async def test_a_relay_can_not_steer_the_terminal(tmp_path: Path) -> None:
    async def clients(_request: web.Request) -> web.Response:
        hostile = {
            "client_ip": "\x1b[2J",
            "client_version": "\x1b]0;owned\x07\n✓ fake",
            "buckets": ["doorbell"],
        }
        return web.json_response([hostile, hostile])

    app = web.Application()
    app.router.add_get("/v1/connected-clients", clients)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with installation(tmp_path) as sound:
            sound.write(url=f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/socket")
            done = await doctor(sound)
    finally:
        await runner.cleanup()
    assert done.status == 1
    assert "✗ relay-subscribers" in done.out
    assert ESCAPE not in done.out
    assert "\x07" not in done.out
    assert "\n✓ fake" not in done.out


async def test_what_the_running_daemon_published_to_nobody(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound, sender() as session:
        with tempfile.TemporaryDirectory() as runtime:
            async with running(tmp_path, "run", "-c", sound.file, XDG_RUNTIME_DIR=runtime):
                await send(session, sound.relay)
                await eventually(lambda: any(one.method == "POST" for one in sound.service.requests), 20.0)
                done = await doctor(sound, runtime=runtime)
    assert done.status == 1
    assert "✗ broker-subscribers  mqtt:home at 127.0.0.1:" in done.out
    assert "1 of 1 messages since the start reached nobody" in done.out
    assert "mosquitto_sub" in done.out
    assert "✓ relay-subscribers" in done.out


async def send(session: aiohttp.ClientSession, relay: SelfHostedRelay) -> None:
    await eventually(lambda: relay.subscribers == 1, 20.0)
    await post(session, relay.webhook_url("doorbell"), b'{"door": "front"}')


def test_a_routing_file_that_can_not_be_read(tmp_path: Path) -> None:
    done = run("doctor", "-c", tmp_path / "gone.yaml", XDG_STATE_HOME=str(tmp_path))
    assert done.status == 1
    assert "✗ routing-file " in done.out
    assert "relay-bridge check" in done.out
