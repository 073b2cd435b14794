import json

from bridge.config.schema import json_schema, schema_text
from tests.support.cli import call


def test_the_schema_is_printed_as_it_is_kept() -> None:
    done = call("schema")
    assert (done.status, done.out, done.err) == (0, schema_text(), "")
    assert json.loads(done.out) == json_schema()


def test_the_help_says_what_to_do_with_it() -> None:
    done = call("schema", "--help")
    assert done.status == 0
    assert "# yaml-language-server: $schema=relay-bridge.schema.json" in done.out
