"""A Postgres URL and what can be told from it alone; no I/O.

`model` takes it apart, `classification` tells what it leads to, `explanation` what Chatwoot makes of it.
"""

from hotdash.dsn.classification import Classification, classify, same_database
from hotdash.dsn.explanation import Explanation, Finding, Severity, explain
from hotdash.dsn.model import PARTS, Dsn, Form, Host, Place
from hotdash.dsn.rule import Certainty, Pooling
from hotdash.dsn.text import DEFAULT_PORT, MalformedDsn

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
    "same_database",
]
