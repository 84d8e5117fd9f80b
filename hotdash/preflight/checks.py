"""Which checks a set of secrets gives, and what each of them is told. Nothing is asked of anyone yet."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from hotdash.chatwoot import DATABASE_URLS
from hotdash.dsn import Dsn, Finding, Host, MalformedDsn, Severity, explain_dsn, is_meant_as_url
from hotdash.preflight import key_base, redis, smtp, storage
from hotdash.preflight.demand import Demand
from hotdash.preflight.outcome import Check, Verdict
from hotdash.preflight.postgres.doors import doors
from hotdash.preflight.postgres.identity import Identities
from hotdash.preflight.postgres.trying import Target, try_database
from hotdash.preflight.trial import Ended, Notes, make_check, refused

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds for one check."""
BY_PARTS: Final = "POSTGRES_HOST"
_FOR_MIGRATIONS: Final = re.compile(r"DIRECT|MIGRAT|UNPOOLED")
_DEFAULTS: Final = {
    "POSTGRES_HOST": "localhost",
    "POSTGRES_PORT": "5432",
    "POSTGRES_DATABASE": "chatwoot_production",
    "POSTGRES_USERNAME": "chatwoot_prod",
    "POSTGRES_PASSWORD": "chatwoot_prod",
}
"""Chatwoot's config/database.yml, in production."""


def checks_for(
    values: Mapping[str, str],
    *,
    demand: Demand | None = None,
    forbidden: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> tuple[Check, ...]:
    """The checks that these secrets give, in a steady order. A secret that nothing can try gives none.

    Args:
        values: every secret's value, by the name under which Chatwoot reads it.
        demand: the connections that Chatwoot will open; None: they are not counted.
        forbidden: URLs of databases that Chatwoot must not get, by what people call them.
        env: what the machines have in their env besides. A secret wins over an entry of the same name, as on Fly.
        timeout: seconds for each check.
    """
    settings = {name: text for name, text in {**(env or {}), **values}.items() if text.strip()}
    checks = list(_databases(settings, values, demand, forbidden or {}, timeout))

    def uses(names: Sequence[str]) -> frozenset[str]:
        return frozenset(name for name in names if name in values)

    if "REDIS_URL" in settings:
        checks.append(redis.check(settings, uses(redis.READS), timeout))
    if key_base.NAME in settings:
        checks.append(key_base.check(settings[key_base.NAME]))
    if settings.keys() & {"SMTP_ADDRESS", "SMTP_USERNAME", "SMTP_PASSWORD"}:
        checks.append(smtp.check(settings, uses(smtp.READS), timeout))
    if settings.keys() & {*storage.AMAZON[:3], *storage.COMPATIBLE[:3]}:
        checks.append(storage.check(settings, uses(storage.READS), timeout))
    return tuple(checks)


def _databases(
    settings: Mapping[str, str],
    values: Mapping[str, str],
    demand: Demand | None,
    forbidden: Mapping[str, str],
    timeout: float,
) -> list[Check]:
    urls = {name: text for name, text in settings.items() if name in DATABASE_URLS or is_meant_as_url(text)}
    main = next((name for name in DATABASE_URLS if name in urls), "")
    dsns: dict[str, Dsn | None] = {}
    problems: dict[str, MalformedDsn] = {}
    unfit: dict[str, list[Finding]] = {}
    for name, text in urls.items():
        try:
            dsn = Dsn.parse(text)
        except MalformedDsn as error:
            problems[name] = error
            dsns[name] = None
            continue
        dsns[name] = _filled(dsn, settings) if name in DATABASE_URLS else dsn
        unfit[name] = _errors(dsn, dsns[name])
    if not main and BY_PARTS in settings:
        main = BY_PARTS
        dsns[main] = _filled(Dsn((Host("", None),), "", "", ""), settings)
    labels = {label if label not in dsns else f"{label} (forbidden)": url for label, url in forbidden.items()}
    known: dict[str, Dsn | None] = dict(dsns)
    for label, url in labels.items():
        try:
            known[label] = Dsn.parse(url)
        except MalformedDsn:
            known[label] = None
    own = {name for name in dsns if _is_chatwoots(name)}
    lines = doors(known, own)
    identities = Identities(known, lines)
    secrets = [dsn.password for dsn in known.values() if dsn] + [settings.get("POSTGRES_PASSWORD", "")]
    checks = []
    for name, parsed in dsns.items():
        uses = {name, *(part for part in _DEFAULTS if name in (*DATABASE_URLS, BY_PARTS))} & set(values)
        if parsed is None:
            checks.append(_malformed(name, problems[name], uses, urls[name]))
            continue
        migrates = _migrates(name)
        chatwoots = name in own
        target = Target(
            name=name,
            dsn=parsed,
            identities=identities,
            chatwoots=chatwoots,
            migrates=migrates,
            demand=demand if name == main else None,
            must_not_be=tuple(labels) if chatwoots else (),
            must_be=main if migrates and main and dsns[main] else "",
        )
        errors = unfit.get(name, []) if chatwoots else []
        checks.append(_database(target, errors, uses, secrets, timeout, lines[name]))
    # Chatwoot's own first, then what migrates it, then the others. In this order they take turns, too.
    order = {name: number for number, name in enumerate((main, *DATABASE_URLS))}
    return sorted(checks, key=lambda check: (order.get(check.name, 9), check.name))


def _migrates(name: str) -> bool:
    return name not in DATABASE_URLS and bool(_FOR_MIGRATIONS.search(name))


def _is_chatwoots(name: str) -> bool:
    return name in (*DATABASE_URLS, BY_PARTS) or _migrates(name)


def _errors(written: Dsn, read: Dsn | None) -> list[Finding]:
    """What is so wrong with a URL that Chatwoot will not get along with it, wherever a login from here succeeds. What
    it does not name, POSTGRES_* may; but for the port, which the container takes from the URL alone."""
    errors = [*explain_dsn(written).findings, *(explain_dsn(read).findings if read else ())]
    by_code = {error.code: error for error in errors if error.severity is Severity.ERROR}
    named = {"no-database": read and read.database, "no-role": read and read.username}
    return [error for code, error in by_code.items() if not named.get(code)]


def _database(
    target: Target,
    unfit: Sequence[Finding],
    uses: set[str],
    secrets: Sequence[str],
    timeout: float,
    line: str,
) -> Check:
    def body(notes: Notes) -> str:
        try:
            said = try_database(target, timeout, notes)
        except Ended as end:
            if not unfit or end.verdict is Verdict.REFUSED:
                raise
        if unfit:
            raise refused(
                unfit[0].code,
                "; ".join(error.text for error in unfit),
                "; ".join(error.remedy for error in unfit),
            )
        return said

    return make_check(target.name, _subject(target.dsn), uses, body, secrets=secrets, line=line)


def _malformed(name: str, problem: MalformedDsn, uses: set[str], url: str) -> Check:
    def body(_: Notes) -> str:
        raise refused("malformed", f"it is no Postgres URL: {problem}", problem.remedy)

    return make_check(name, "a database URL", uses, body, secrets=[url])


def _filled(dsn: Dsn, settings: Mapping[str, str]) -> Dsn:
    """What Rails makes of it: what the URL lacks, config/database.yml has, from POSTGRES_* or by default."""

    def setting(part: str) -> str:
        name = f"POSTGRES_{part.upper()}"
        return settings.get(name, _DEFAULTS[name])

    port = setting("port")
    meant = int(port) if port.isdigit() else None
    return dataclasses.replace(
        dsn,
        hosts=tuple(Host(host.name or setting("host"), host.port or meant) for host in dsn.hosts),
        database=dsn.database or setting("database"),
        username=dsn.username or setting("username"),
        password=dsn.password or setting("password"),
    )


def _subject(dsn: Dsn) -> str:
    return f"{dsn.role}@{','.join(map(str, dsn.hosts))}/{dsn.database}"
