"""A Postgres DSN, and what its text alone tells; no I/O.

`text`            takes it apart: URLs, and libpq's keyword form
`model`           a DSN as a value, and how it is shown, rendered and given to libpq
`parameters`      which parameters libpq and Rails take, and which may be shown
`rule`, `rules/`  whose a form is and what it leads to, each with its source
`classification`  asks the rules: pooling, provider, direct form, which database it is
`finding`, `checks/`  what Chatwoot makes of a DSN, each with its source
`explanation`     all of it, as text and as JSON

Whether a server agrees is asked elsewhere: in `hotdash.preflight`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from hotdash.dsn.model import PARTS, Dsn, Form, Host, Place
from hotdash.dsn.text import DEFAULT_PORT, MalformedDsn, is_meant_as_url

if TYPE_CHECKING:
    from hotdash.dsn.classification import Classification, classify, same_database
    from hotdash.dsn.explanation import Explanation, explain, explain_dsn
    from hotdash.dsn.finding import Finding, Severity
    from hotdash.dsn.rule import Certainty, Pooling

__all__ = [
    "DEFAULT_PORT",
    "PARTS",
    "Certainty",
    "Classification",
    "Dsn",
    "Explanation",
    "Finding",
    "Form",
    "Host",
    "MalformedDsn",
    "Place",
    "Pooling",
    "Severity",
    "classify",
    "explain",
    "explain_dsn",
    "is_meant_as_url",
    "same_database",
]

_LATER: Final = {
    "Certainty": "rule",
    "Classification": "classification",
    "Explanation": "explanation",
    "Finding": "finding",
    "Pooling": "rule",
    "Severity": "finding",
    "classify": "classification",
    "explain": "explanation",
    "explain_dsn": "explanation",
    "same_database": "classification",
}
"""Names and their modules, loaded when asked for: a preview's processes mostly want the parts of a DSN alone."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value
