"""DSNs of every kind: any that can be written, and the forms that the rules know, with a secret in them."""

import string
from urllib.parse import quote

from hypothesis import strategies as st

from hotdash.dsn import Dsn, Host
from hotdash.dsn.parameters import LIBPQ, RAILS
from hotdash.dsn.rules import RULES

SECRET = "s3cr3t-Value"

labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
host_names = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    labels.map(lambda label: f"/var/run/{label}"),
)
# Whatever a role, a password or a database can be called; no DSN can hold NUL.
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
ports = st.none() | st.integers(1, 65535)
hosts = st.builds(Host, host_names, ports)
parameter_names = (
    st.sampled_from(sorted((LIBPQ | RAILS) - {"host", "port", "dbname", "user", "password"})) | labels
)
parameters = st.dictionaries(parameter_names, names | st.just(""), max_size=3)


def dsns(several: bool = True) -> st.SearchStrategy[Dsn]:
    return st.builds(
        Dsn,
        st.lists(hosts, min_size=1, max_size=3 if several else 1).map(tuple),
        names | st.just(""),
        names | st.just(""),
        names | st.just(""),
        parameters,
    )


known_hosts = st.sampled_from([Dsn.parse(text).host for rule in RULES for text in rule.examples])
known_ports = st.sampled_from([5431, 5432, 5433, 6000, 6432, 6543, 8432, 25060, 25061]) | ports
near_known = st.builds(
    Dsn,
    st.builds(
        Host,
        st.one_of(
            known_hosts,
            st.builds(lambda label, host: f"{label}.{host}", labels, known_hosts),
            known_hosts.map(lambda host: host.partition(".")[2] or host),
        ),
        known_ports,
    ).map(lambda host: (host,)),
    st.sampled_from(["postgres", "tsdb", "tsdb_transaction", "", "a/b"]) | names,
    st.sampled_from(["postgres", "postgres.abcdefghijklmnopqrst", "a.b.c", "", "."]) | names,
    st.just(SECRET),
    st.dictionaries(
        st.sampled_from(["options", "pgbouncer", "sslmode"]),
        st.sampled_from(["reference=abc", "true", "require", "endpoint=x", ""]),
    ),
)
"""Forms that are close to those of a rule: its hosts with other ports, roles and databases, or a label more or less."""


def url(
    host: str, port: int | None, database: str, username: str, password: str, scheme: str = "postgres"
) -> str:
    """A URL written without the code that is tested."""
    shown = f"[{host}]" if ":" in host else quote(host, safe="")
    place = shown if port is None else f"{shown}:{port}"
    return (
        f"{scheme}://{quote(username, safe='')}:{quote(password, safe='')}@{place}/{quote(database, safe='')}"
    )
