import re
from pathlib import Path

from bridge.config import grammar
from bridge.config.loader import load
from bridge.config.records import Key
from bridge.config.reference import EXAMPLES, records_in, reference

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"


def rows(key: Key) -> list[str]:
    return [line for line in reference().splitlines() if line.startswith(f"| `{key.name}` |")]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), (
        "run: .venv/bin/python -m bridge.config.reference > docs/reference.md"
    )


def test_every_key_has_a_row_with_its_meaning() -> None:
    keys = [
        key
        for top in grammar.FILE.keys
        for _, record in records_in(top.shape, top.name)
        for key in record.keys
    ]
    assert len(keys) > 80
    for key in keys:
        assert any(row.endswith(f" {key.description} |") for row in rows(key)), key.name


def test_no_record_is_described_twice() -> None:
    headings = re.findall(r"^##+ (.*)", reference(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert sum("| `attempts` |" in line for line in reference().splitlines()) == 1


def test_defaults_are_written_as_in_a_file() -> None:
    text = reference()
    for row in (
        "| `linger` | a duration from 0ms to 10s | `20ms` |",
        "| `max_bytes` | a size from 1MiB to 1024GiB | `256MiB` |",
        "| `retain` | true or false | `false` |",
        "| `name` | a name of letters, digits, _ and - (at most 64) | **required** |",
    ):
        assert row in text


def test_every_link_leads_somewhere() -> None:
    text = reference()
    headings = re.findall(r"^##+ (.*)", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert len(links) > 10
    assert set(links) <= anchors
    pages = set(re.findall(r"\]\(([^#)]+)\)", text))
    assert all((PAGE.parent / page).exists() for page in pages)


def test_every_key_at_the_top_has_an_example_and_together_they_are_one_file(tmp_path: Path) -> None:
    assert EXAMPLES.keys() == {key.name for key in grammar.FILE.keys}
    text = "".join(EXAMPLES[key.name] for key in grammar.FILE.keys)
    (tmp_path / "bridge.yaml").write_text(text)
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "garage.yaml").write_text("routes: []\n")
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "s3cret")
    loaded = load(tmp_path / "bridge.yaml", environment=environment)
    assert loaded.problems == (), loaded.report()
