"""The one way in which anything in the sandbox says no to an API call.

Statuses and texts are part of what is being imitated, so the lifecycle names them itself."""


class Refusal(Exception):
    """A call is answered with `status` and `{"error": text, "status": code}`."""

    def __init__(
        self, status: int, text: str, code: str = "unknown", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.headers = headers or {}


def bad_request(text: str) -> Refusal:
    return Refusal(400, text)


def not_found(text: str) -> Refusal:
    return Refusal(404, text)


def conflict(text: str) -> Refusal:
    return Refusal(409, text)


def failed_precondition(text: str) -> Refusal:
    return Refusal(412, f"failed_precondition: {text}")
