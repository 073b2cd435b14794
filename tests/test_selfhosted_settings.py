import base64
import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.secret import Secret
from bridge.selfhosted.nodes import SettingsError
from bridge.selfhosted.resources import Limits, Settings, TlsFiles, Token
from bridge.selfhosted.settings import parse_listen, parse_settings, read_settings

STARTER = Path(__file__).parent.parent / "config" / "relay.yaml"
SMALLEST = "tokens: {pi: s3cr3t}\nbuckets: {doorbell: }\n"


def parsed(text: str, **environ: str) -> Settings:
    return parse_settings(text, environ)


def places(text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, environ)
    return [f"{one.line}:{one.column} {one.message}" for one in refused.value.problems]


def test_the_smallest_file_has_defaults_for_the_rest() -> None:
    settings = parsed(SMALLEST)
    assert (settings.host, settings.port, settings.limits) == ("127.0.0.1", 8080, Limits())
    assert settings.tokens == (Token("pi", Secret("s3cr3t")),)
    (bucket,) = settings.buckets
    assert (bucket.name, bucket.outputs) == ("doorbell", ())
    (entry,) = bucket.inputs
    assert (entry.name, entry.status, entry.body, entry.headers) == ("Default public endpoint", 200, "", ())


def test_the_starter_file_is_valid() -> None:
    settings = read_settings(STARTER, {"RELAY_SECRET": "s3cr3t"})
    assert [one.name for one in settings.buckets] == ["doorbell", "github"]
    assert settings.buckets[1].outputs[0].destination == "http://localhost:1880/github"
    assert settings.buckets[1].inputs == settings.buckets[1].named("github").inputs


def test_the_limits_that_the_starter_file_shows_are_the_defaults() -> None:
    _, _, commented = STARTER.read_text().partition("# limits:")
    block = "limits:" + commented.replace("\n#", "\n")
    assert set(yaml.safe_load(block)["limits"]) >= {"body", "history_age"}
    assert parsed(SMALLEST + block).limits == Limits()


def test_every_key_is_read() -> None:
    settings = parsed(
        """
listen: "[::1]:9000"
tokens: {pi: "${PI}", whr: sk-1}
buckets:
  on:
    id: bucket-1
    inputs:
      no: {id: input-1, status: 202, body: thanks, headers: {Content-Type: text/plain}}
    outputs:
      a: {destination: "https://example.org/x?y=1", internal: false}
limits:
  {body: 64KiB, connections: 5, json_ping: 10s, history_age: 1m, history_bytes: 1MiB,
   log_age: 168h, log_bytes: 1024MiB}
state: /var/lib/relay
""",
        PI="from the environment",
    )
    assert (settings.host, settings.port) == ("::1", 9000)
    assert settings.tokens[0] == Token("pi", Secret("from the environment"))
    (bucket,) = settings.buckets
    assert (bucket.name, bucket.id) == ("on", "bucket-1")
    (entry,) = bucket.inputs
    assert (entry.name, entry.id, entry.status, entry.body) == ("no", "input-1", 202, "thanks")
    assert entry.headers == (("Content-Type", "text/plain"),)
    (output,) = bucket.outputs
    assert (output.name, output.destination, output.internal) == ("a", "https://example.org/x?y=1", False)
    limits = settings.limits
    assert (limits.body, limits.connections, limits.json_ping) == (65536, 5, 10.0)
    assert (limits.history_age, limits.history_bytes) == (60.0, 1024 * 1024)
    assert (limits.log_age, limits.log_bytes) == (7 * 24 * 3600.0, 1024**3)
    assert settings.state == Path("/var/lib/relay")


def test_the_log_is_not_kept_anywhere_unless_a_folder_is_named() -> None:
    assert parsed(SMALLEST).state is None
    with pytest.raises(SettingsError, match="an absolute path is needed"):
        parsed("state: here\n" + SMALLEST)


def test_the_management_page_is_off_unless_it_has_an_address() -> None:
    assert (parsed(SMALLEST).manage, parsed(SMALLEST).public_url) == (None, "")
    settings = parsed("manage: 127.0.0.1:8081\npublic_url: https://hooks.example.org/\n" + SMALLEST)
    assert settings.manage == ("127.0.0.1", 8081)
    assert settings.public_url == "https://hooks.example.org"
    assert places("manage: here\npublic_url: hooks.example.org\n" + SMALLEST) == [
        "1:9 manage: HOST:PORT is needed, such as 127.0.0.1:8080",
        "2:13 public_url: a URL is needed, http://… or https://…",
    ]


def test_every_problem_is_named_with_its_place() -> None:
    found = places(
        """\
listen: nowhere
tokens:
  pi: ${UNSET_SECRET}
  phone: ""
  other: 12345
buckets:
  doorbell:
    inputs:
      Default public endpoint: {stauts: 200}
      Second: {status: 99, body: 1, headers: {Content-Length: "5", "a b": x}}
    outputs:
      pi: {internal: "yes"}
      two: {destination: ftp://x}
  doorbell: {}
  front: {id: doorbell}
  empty: {inputs: [a]}
limits: {body: 3 MB, json_ping: 2h, history: 10m}
""",
    )
    assert found == [
        "1:9 listen: HOST:PORT is needed, such as 127.0.0.1:8080",
        "3:7 the environment variable UNSET_SECRET is not set",
        "4:10 this can't be empty",
        "5:10 text is needed, not a number; put it in quotes",
        "9:33 unknown key 'stauts'; did you mean status?",
        "10:24 a number from 200 to 599 is needed",
        "10:34 text is needed, not a number; put it in quotes",
        "10:47 Content-Length is the server's own affair",
        "10:68 not a header's name",
        "12:7 destination is needed",
        "12:22 true or false is needed, not text",
        "13:26 a URL is needed, http://… or https://…",
        "14:3 'doorbell' is there twice",
        "15:3 a bucket has this name or ID already",
        "16:19 a mapping is needed, not a list",
        "17:16 a size such as 64KiB or 3MiB is needed",
        "17:33 2h is out of range",
        "17:37 unknown key 'history'; did you mean history_age?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1 the file is empty"),
        ("buckets: {a: }", "1:1 tokens: at least one is needed"),
        ("tokens: {a: b}\nbuckets: {}", "2:10 buckets: at least one is needed"),
        ("- tokens", "1:1 a mapping is needed, not a list"),
        ("tokens: {a: &x b, c: *x}\nbuckets: {a: }", "1:22 aliases are not supported; write it out"),
        ("tokens: {a: b\nbuckets", "3:1 not YAML: did not find expected"),
        ("tokens: {a: b}\n---\nbuckets: {a: }", "2:1 not YAML: but found another document"),
        ("tokens: {a: !secret b}\nbuckets: {a: }", "1:13 text is needed, not the tag '!secret'"),
        ("tokens: {a: 'x${B}'}\nbuckets: {a: }", "1:13 a reference is the whole value"),
        (
            "tokens: {a: '${file:/nonexistent/x}'}\nbuckets: {a: }",
            "1:13 '/nonexistent/x' can't be read: No such",
        ),
        ("tokens: {a: b}\nbuckets: {? [x] : }", "2:13 a name is needed here"),
        ('tokens: {a: b}\nbuckets: {"x\\n": }', "2:11 a name has 1 to 100 characters"),
        ("tokens: {a: b}\nbuckets: {x: {id: a/b}}", "2:19 an ID has 1 to 64"),
        (
            "tokens: {a: b}\nbuckets: {x: {inputs: {i: {status: 204, body: y}}}}",
            "2:47 an answer with status 204",
        ),
        (
            'tokens: {a: b}\nbuckets: {x: {inputs: {i: {headers: {X-A: "b\\r\\nc: d"}}}}}',
            "2:43 a header can't hold this",
        ),
        (
            "tokens: {a: b}\nbuckets: {x: {inputs: {i: {id: z}}}, y: {inputs: {j: {id: z}}}}",
            "2:51 an input has this ID",
        ),
        ("tokens: {a: " + "[" * 13 + "]" * 13 + "}\nbuckets: {a: }", "1:23 too deep"),
        ("tokens: {a: b}\nbuckets: {" + "a: , " * 20_000 + "}", "too long"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, problem: str) -> None:
    assert any(problem in one for one in places(text))


def test_the_error_text_is_one_line_per_problem_and_holds_no_secret() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings("tokens: {pi: hunter2}\nbuckets: {a: {x: }, b: {y: }}", {}, file="my.yaml")
    lines = str(refused.value).splitlines()
    assert lines[0].startswith("my.yaml:2:15: error: unknown key 'x'")
    assert lines[1].startswith("my.yaml:2:25: error: unknown key 'y'")
    assert "hunter2" not in str(refused.value)


def test_ids_follow_from_names_and_differ() -> None:
    first, again = parsed(SMALLEST), parsed(SMALLEST + "# read after a restart\n")
    assert first.buckets == again.buckets
    two = parsed("tokens: {a: b}\nbuckets: {x: {inputs: {i: , j: }}, y: {inputs: {i: }}}")
    ids = [entry.id for bucket in two.buckets for entry in bucket.inputs] + [one.id for one in two.buckets]
    assert len(set(ids)) == 5


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    settings = parsed(f"tokens: {{pi: '${{file:{secret}}}'}}\nbuckets: {{a: }}")
    assert settings.tokens[0].secret == Secret("from a file")
    secret.write_bytes(b"\xff\xfe")
    assert "holds no text" in places(f"tokens: {{pi: '${{file:{secret}}}'}}\nbuckets: {{a: }}")[0]


def test_a_secret_may_be_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "relay-key").write_text("from systemd\n")
    text = 'tokens: {pi: "${credential:relay-key}"}\nbuckets: {a: }\n'
    settings = parsed(text, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert settings.tokens[0].secret == Secret("from systemd")
    with pytest.raises(SettingsError, match="CREDENTIALS_DIRECTORY is not set"):
        parsed(text)
    with pytest.raises(SettingsError, match="reference is the whole value"):
        parsed(text.replace("relay-key", ".."), CREDENTIALS_DIRECTORY=str(tmp_path))


def test_certificate_files() -> None:
    settings = parsed(SMALLEST + "tls: {certificate: /a/cert.pem, key: /a/key.pem}\n")
    assert settings.tls == TlsFiles(Path("/a/cert.pem"), Path("/a/key.pem"))
    for wrong, problem in (
        ("{key: /a}", "certificate and key are needed"),
        ("{certificate: a, key: /b}", "path"),
    ):
        with pytest.raises(SettingsError, match=problem):
            parsed(SMALLEST + f"tls: {wrong}\n")


def test_trusted_proxies() -> None:
    settings = parsed(SMALLEST + "trusted_proxies: [127.0.0.1, '10.0.0.0/8', 'fd00::/8']\n")
    assert [str(one) for one in settings.trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]
    for wrong in ("[10.0.0.1/8]", "[proxy]"):
        with pytest.raises(SettingsError, match="an address or a network is needed"):
            parsed(SMALLEST + f"trusted_proxies: {wrong}\n")
    with pytest.raises(SettingsError, match="a list is needed"):
        parsed(SMALLEST + "trusted_proxies: 127.0.0.1\n")


def test_the_key_of_the_state_folder() -> None:
    key = base64.b64encode(bytes(32)).decode()
    assert parsed(SMALLEST + "state_key: ${KEY}\n", KEY=key).state_key == Secret(key)
    with pytest.raises(SettingsError, match="state_key: 32 bytes in base64 are needed") as caught:
        parsed(SMALLEST + "state_key: ${KEY}\n", KEY=key[:-8])
    assert key[:-8] not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        read_settings(path)
    path.write_bytes(b"tokens: {}\n\xff")
    with pytest.raises(SettingsError, match=":2:1: error: not UTF-8"):
        read_settings(path)
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(SettingsError, match="larger than 256 KiB"):
        read_settings(path)
    path.write_bytes(b"tokens: {a: b}\x01")
    with pytest.raises(SettingsError, match="not YAML"):
        read_settings(path)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        (":80", ("", 80)),
        ("relay.lan:65535", ("relay.lan", 65535)),
    ],
)
def test_listen(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["", "8080", "::1:80", "a:", "a:b", "a:65536", "a:-1", "a:٣"])
def test_listen_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        parse_listen(text)


@given(st.text(alphabet=st.sampled_from(list("tokensbuc: {}[]\n-'\"!&*#|>?%@0123~ \t\x00é")), max_size=60))
def test_any_text_is_settings_or_problems(text: str) -> None:
    with contextlib.suppress(SettingsError):  # any other exception fails
        settings = parse_settings(text, {})
        assert settings.tokens
        assert settings.buckets
