"""Every error that a person on call may read, in one tree.

HotdashError
├── SettingsError           the stack file says something that cannot be
├── VaultError              the vault folder cannot give what the stack asks of it
│   └── VaultChanged        a value is not the one that was planned
├── PreflightRefused        credentials were tried before they were set, and at least one would not do
├── WrongDatabase           a database URL leads to a database that Chatwoot must not use
├── FlyError                Fly answered with an error, or not at all
│   ├── TokenMissing        no token was given
│   ├── TokenRefused        401, or a text that cannot be a token
│   ├── Forbidden           403, or an app of another organization
│   ├── NotFound            404
│   ├── Conflict            409, 412: somebody else is changing the same thing
│   │   └── LeaseHeld       another's lease did not go away
│   ├── RateLimited         429, still, after waiting
│   └── Unreachable         no answer: no connection, a timeout, a broken answer
├── RolloutFailed           a machine did not come up as declared
├── MigrationFailed         the schema of the new image could not be applied
├── MigrationLocked         another migration of the app runs now
└── ReadinessFailed         the app does not answer from outside

Each carries a code that does not change (`code`), what happened (`summary`), where (`where`), what it means
(`meaning`) and what to do next (`remedy`). No error ever holds a secret value. All can be pickled.
"""

from __future__ import annotations

from typing import ClassVar


class HotdashError(Exception):
    """The base of all errors raised here.

    Args:
        summary: what happened, one sentence, without a full stop.
        where: the file and key, or app, machine and request id.
        meaning: what that means for the app; may be empty.
        remedy: what the reader should do next; may be empty.
    """

    code: ClassVar[str] = "error"

    def __init__(self, summary: str, *, where: str = "", meaning: str = "", remedy: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.where = where
        self.meaning = meaning
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.summary]
        lines += [
            f"  {label:<6} {text}"
            for label, text in (
                ("where", self.where),
                ("means", self.meaning),
                ("next", self.remedy),
                ("code", self.code),
            )
            if text
        ]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))


def _rebuild(cls: type[HotdashError], fields: dict[str, object]) -> HotdashError:
    error = cls.__new__(cls)
    Exception.__init__(error, fields["summary"])
    error.__dict__.update(fields)
    return error


class SettingsError(HotdashError):
    code = "settings"


class VaultError(HotdashError):
    code = "vault"


class VaultChanged(VaultError):
    code = "vault-changed"


class PreflightRefused(HotdashError):
    code = "preflight-refused"


class WrongDatabase(HotdashError):
    code = "wrong-database"


class FlyError(HotdashError):
    """Fly said no. `status` is the HTTP status (None: no answer), `request_id` Fly's own id of the request."""

    code = "fly"

    def __init__(
        self,
        summary: str,
        *,
        where: str = "",
        meaning: str = "",
        remedy: str = "",
        status: int | None = None,
        request_id: str = "",
    ) -> None:
        if request_id:
            where = f"{where}, request {request_id}" if where else f"request {request_id}"
        super().__init__(summary, where=where, meaning=meaning, remedy=remedy)
        self.status = status
        self.request_id = request_id


class TokenMissing(FlyError):
    code = "fly-token-missing"


class TokenRefused(FlyError):
    code = "fly-token-refused"


class Forbidden(FlyError):
    code = "fly-forbidden"


class NotFound(FlyError):
    code = "fly-not-found"


class Conflict(FlyError):
    code = "fly-conflict"


class LeaseHeld(Conflict):
    code = "fly-lease-held"


class RateLimited(FlyError):
    code = "fly-rate-limited"


class Unreachable(FlyError):
    code = "fly-unreachable"


class RolloutFailed(HotdashError):
    code = "rollout-failed"


class MigrationFailed(HotdashError):
    code = "migration-failed"


class MigrationLocked(HotdashError):
    code = "migration-locked"


class ReadinessFailed(HotdashError):
    code = "not-ready"
