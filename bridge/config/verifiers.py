"""Verifiers of the file, and the verifier of a route."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.config.model import VerifierSettings
from bridge.config.problems import Code, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields
from bridge.errors import ConfigError
from bridge.verify.schemes import SCHEMES, HmacHeader, Naming, Scheme, Token
from bridge.verify.verifier import Verifier

GENERIC: Final[Mapping[str, tuple[str, ...]]] = {
    "hmac": ("header", "algorithm", "encoding", "prefix", "signed", "timestamp_header", "id_header"),
    "bearer": ("header", "prefix", "id_header"),
}
"""Schemes that are told by the file how the sender signs, and the keys that tell it."""
SCHEME_KEYS: Final = GENERIC["hmac"]


class Verifiers:
    """The verifiers of a routing file by name; None for one with a mistake."""

    def __init__(self, settings: Mapping[str, VerifierSettings | None]) -> None:
        self.settings = {name: one for name, one in settings.items() if one}
        self._verifiers = {name: one.verifier() if one else None for name, one in settings.items()}

    def of(self, route: Fields, reader: Reader) -> Verifier | None:
        """The verifier that a route names; None where it names none.

        Raises:
            Invalid: there is no such verifier, or it has a mistake.
        """
        name: str | None = route["verify"]
        if name is None:
            return None
        if name not in self._verifiers:
            known = f"known: {', '.join(self._verifiers)}" if self._verifiers else "add it to `verifiers`"
            hint = did_you_mean(name, self._verifiers) or known
            raise reader.wrong(
                Code.UNKNOWN_NAME, route.node_of("verify"), f"unknown verifier {quoted(name)}", hint
            )
        verifier = self._verifiers[name]
        if verifier is None:
            raise Invalid
        return verifier


def verifier_settings(name: str, fields: Fields, reader: Reader) -> VerifierSettings:
    """One verifier.

    Raises:
        Invalid: it can't be used; the problem is noted.
    """
    scheme = _scheme(fields, reader)
    secrets = fields["secrets"]
    settings = VerifierSettings(
        name=name,
        scheme=scheme,
        secrets=tuple(secrets) if isinstance(secrets, list) else (secrets,),
        window=fields["window"] if fields.given("window") else scheme.window,
        refuse_replays=_refuses_replays(fields, scheme),
    )
    _check(settings, fields, reader)
    return settings


def _scheme(fields: Fields, reader: Reader) -> Scheme:
    name: str = fields["scheme"]
    own = GENERIC.get(name, ())
    for key in SCHEME_KEYS:
        if fields.given(key) and key not in own:
            others = " and ".join(scheme for scheme, keys in GENERIC.items() if key in keys)
            message = f"the scheme {name} has no {quoted(key)}; it is for {others}"
            raise reader.wrong(Code.CONFLICT, fields.node_of(key), message, "remove it")
    if name not in GENERIC:
        return SCHEMES[name]
    written: dict[str, Any] = {key: fields[key] for key in own if fields.given(key)}
    if name == "bearer":
        return Token(**written)
    if "header" not in written:
        hint = "add `header:`, the name of the header that holds the signature"
        raise reader.wrong(Code.MISSING_KEY, fields.node, "the scheme hmac needs a header", hint)
    try:
        return HmacHeader(**written)
    except ConfigError as error:
        raise reader.wrong(Code.CONFLICT, fields.node_of("signed"), str(error)) from None


def _refuses_replays(fields: Fields, scheme: Scheme) -> bool:
    wanted: str | None = fields["replay"]
    return scheme.naming is Naming.STRONG if wanted is None else wanted == "reject"


def _check(settings: VerifierSettings, fields: Fields, reader: Reader) -> None:
    """Have the verifier say which of its settings it can't use, with one more of them at a time."""
    scheme = settings.scheme
    steps = (
        ("secrets", scheme.window, False),
        ("window", settings.window, False),
        ("replay", settings.window, settings.refuse_replays),
    )
    for key, window, refuse_replays in steps:
        try:
            Verifier(settings.name, scheme, settings.secrets, window=window, refuse_replays=refuse_replays)
        except ConfigError as error:
            raise reader.wrong(Code.CONFLICT, fields.node_of(key), str(error)) from None
