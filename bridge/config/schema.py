"""The JSON Schema of the routing file, with which an editor completes, explains and checks it.

It refuses nothing that the loader takes. The loader refuses more: names that nothing has, templates and
conditions that can't be compiled, what stands behind a ${…}.
"""

import json

from bridge.config import grammar
from bridge.config.conditions import definitions
from bridge.config.shapes import Schema


def json_schema() -> Schema:
    """The schema (draft-07, which is what editors know best); also right for included files."""
    head: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Routing file of Relay Bridge",
        "definitions": definitions(),
    }
    return head | grammar.FILE.json_schema()


def schema_text() -> str:
    """The schema as a file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
