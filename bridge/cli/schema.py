"""`relay-bridge schema`: the routing file's JSON Schema, for editors."""

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the routing file.

    An editor with a YAML language server completes and checks the file with this line at its top:

    # yaml-language-server: $schema=relay-bridge.schema.json
    """
    from bridge.config.schema import schema_text

    click.echo(schema_text(), nl=False)
