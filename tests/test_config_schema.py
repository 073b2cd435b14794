import ast
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import grammar
from bridge.config.conditions import FAMILIES, OPERATORS, SOURCES
from bridge.config.loader import load, load_text
from bridge.config.nodes import Mapping, Node, Scalar, Sequence, parse
from bridge.config.problems import Code, Problems, Source
from bridge.config.reference import EXAMPLES
from bridge.config.schema import json_schema, schema_text
from bridge.config.secrets import Secrets
from bridge.routing.operators import NEGATIVE, POSITIVE
from bridge.routing.sources import reader_of
from tests.support.error_examples import ENVIRONMENT
from tests.support.error_examples import EXAMPLES as ERRORS
from tests.support.routing_files import EXAMPLE

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "config" / "relay-bridge.schema.json"
MISTAKES = sorted((ROOT / "tests" / "mistakes").glob("*.yaml"))
VALIDATOR = jsonschema.Draft7Validator(json_schema())
OF_SHAPE = {Code.WRONG_TYPE, Code.UNKNOWN_KEY}


def plain(node: Node) -> Any:
    """A value as YAML 1.2 has it, which is also what editors see."""
    match node:
        case Mapping():
            return {key: plain(value) for key, (_, value) in node.entries.items()}
        case Sequence():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value
    raise AssertionError(node)


def value_of(text: str) -> Any:
    root = parse(Source("bridge.yaml", text), Problems())
    assert root is not None
    return plain(root)


def refused(value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def secrets_for(text: str) -> Secrets:
    return Secrets(Path(), dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "s3cret"))


def is_taken(text: str) -> bool:
    return load_text(text, secrets=secrets_for(text)).config is not None


def test_the_file_is_up_to_date() -> None:
    assert KEPT.read_text() == schema_text(), f"run: .venv/bin/relay-bridge schema > {KEPT.relative_to(ROOT)}"


def test_it_is_a_schema_of_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == jsonschema.Draft7Validator.META_SCHEMA["$id"]


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and those within."""
    if isinstance(schema, dict):
        yield schema
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from schemas(value)


def keys() -> list[tuple[str, dict[str, Any]]]:
    """Every key that the schema knows, with the schema of its value."""
    return [entry for schema in schemas(json_schema()) for entry in schema.get("properties", {}).items()]


def test_every_pattern_means_the_same_in_javascript() -> None:
    patterns = [schema["pattern"] for schema in schemas(json_schema()) if "pattern" in schema]
    patterns += [name for schema in schemas(json_schema()) for name in schema.get("patternProperties", ())]
    assert len(patterns) > 20
    only_python = r"\(\?[^:!=]|[*+?}][+]"  # groups with flags or names, possessive repeats
    only_loose = r"\\[^\\sSwWdDxun/^$.*+?()\[\]{}|]"  # escapes that /…/u refuses
    for pattern in patterns:
        without_sets = re.sub(r"\[(?:\\.|[^\]])*\]", "", pattern)
        assert not re.search(only_python, without_sets), pattern
        assert not re.search(only_loose, pattern), pattern


def test_sources_and_operators_are_those_of_the_code() -> None:
    assert set(OPERATORS) == {*POSITIVE, *NEGATIVE, "exists"}
    for source in SOURCES:
        reader_of(source)
    for form in FAMILIES:
        reader_of(form.replace("NAME", "x").replace("PATH", 'a[0]["b.c"].d'))


def test_every_key_is_explained() -> None:
    assert len(keys()) > 100
    assert [name for name, schema in keys() if "description" not in schema] == []


def test_defaults_fit_and_are_written_as_in_a_file() -> None:
    defaults = {name: schema for name, schema in keys() if "default" in schema}
    assert len(defaults) > 10
    for schema in defaults.values():
        if schema["default"] != "":
            jsonschema.Draft7Validator(schema).validate(schema["default"])
    assert defaults["linger"]["default"] == "20ms"
    assert defaults["max_bytes"]["default"] == "256MiB"
    assert defaults["final"]["default"] is False


def test_examples_fit() -> None:
    definitions = json_schema()["definitions"]
    found = [(schema, example) for _, schema in keys() for example in schema.get("examples", ())]
    assert len(found) > 20
    for schema, example in found:
        jsonschema.Draft7Validator(schema | {"definitions": definitions}).validate(example)


# Nothing that the loader takes is refused.


def snippets() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        texts = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, text in enumerate(texts, 1):
            if re.search("^routes:", text, re.MULTILINE):
                yield f"{page.name}-{number}", text
    for file in sorted((ROOT / "config").rglob("*.yaml")):
        if re.search("^routes:", file.read_text(), re.MULTILINE):
            yield file.name, file.read_text()
    for code, example in ERRORS.items():
        if example.language == "yaml":
            yield f"{code.number}-right", example.right


def test_every_file_that_people_read_is_taken() -> None:
    found = list(snippets())
    assert len(found) > 25
    for name, text in found:
        assert refused(value_of(text)) == [], name


def texts_in_tests() -> Iterator[tuple[str, str]]:
    """Every routing file that stands in a test in one piece."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "routes:" in node.value:
                yield f"{file.name}:{node.lineno}", node.value


def test_every_file_in_the_tests_that_the_loader_takes_is_taken() -> None:
    taken = [(name, text) for name, text in texts_in_tests() if is_taken(text)]
    assert len(taken) >= 5
    for name, text in taken:
        assert refused(value_of(text)) == [], name


@pytest.mark.parametrize("file", MISTAKES, ids=[file.stem for file in MISTAKES])
def test_mistaken_files_are_refused_where_their_shape_is_wrong(file: Path) -> None:
    loaded = load(file, environment=ENVIRONMENT)
    root = parse(Source("bridge.yaml", file.read_bytes().decode("utf-8-sig", "replace")), Problems())
    if loaded.config is not None:
        assert root is not None
        assert refused(plain(root)) == []
    elif any(problem.code in OF_SHAPE for problem in loaded.problems):
        assert root is not None
        assert refused(plain(root)) != []


@pytest.mark.parametrize(
    "text",
    [
        "protocol: 5",
        'protocol: "5"',
        "protocol: 3.1.1",
        "url: MQTT://h, keepalive: 0x10",
        "url: 'mqtt://[::1]:1883'",
        "url: '${URL}', username: '${USER}'",
        "url: 'mqtt://${HOST}'",
    ],
)
def test_spellings_that_the_loader_takes_are_taken(text: str) -> None:
    url = "" if "url" in text else "url: mqtt://h, "
    text = f"relay: {{key: a, secret: b}}\nbrokers: {{home: {{{url}{text}}}}}\nroutes: []\n"
    references = {"URL": "mqtt://h", "HOST": "h", "USER": "u"}
    assert load_text(text, secrets=Secrets(Path(), references)).config is not None
    assert refused(value_of(text)) == []


# One change of a file with everything: what the loader takes is taken, what is wrong by its shape is refused.

EVERYTHING = value_of("".join(EXAMPLES[key.name] for key in grammar.FILE.keys if key.name != "include"))
VALUES: list[Any] = [
    *(None, True, 0, 5, -1, 1.5, "", "x", "5", "15s", "64MiB", "yes", "/x", "http://h/x", "mqtt://h", "a b"),
    *("{{ body.x }}", "a/{{ body.x }}", "${NAME}", "x${NAME}"),
    *([], {}, ["x"], [5], [{}], {"a": 1}, {"a": "x"}, {"bucket": "x"}, {"eq": 5}, {"mqtt": "t"}),
]
UNKNOWN = object()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, below in inner:
        yield (*path, key)
        yield from places(below, (*path, key))


def changed(root: Any, place: tuple[Any, ...], value: Any) -> Any:
    root = copy.deepcopy(root)
    node = root
    for key in place[:-1]:
        node = node[key]
    if value is UNKNOWN and isinstance(node, dict):
        node["unheard_of"] = node.pop(place[-1])
    else:
        node[place[-1]] = None if value is UNKNOWN else copy.deepcopy(value)
    return root


@pytest.mark.parametrize("root", [EVERYTHING, value_of(EXAMPLE)], ids=["reference", "example"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_one_change_is_judged_as_by_the_loader(root: Any, data: st.DataObject) -> None:
    assert refused(root) == []
    place = data.draw(st.sampled_from(list(places(root))))
    value = changed(root, place, data.draw(st.sampled_from([*VALUES, UNKNOWN])))
    text = json.dumps(value)
    loaded = load_text(text, secrets=secrets_for(text))
    if loaded.config is not None:
        assert refused(value_of(text)) == []
    elif any(problem.code in OF_SHAPE for problem in loaded.problems):
        assert refused(value_of(text)) != [], loaded.report()
