"""Running checks: side by side, in order, within the time, and never raising."""

import threading
import time

import pytest

from hotdash.preflight import Check, Outcome, Verdict, run
from hotdash.preflight.trial import Deadline, Ended, Notes, in_time, make_check, quoted


def check(name: str, body: object, line: str = "") -> Check:
    return Check(name, "a subject", frozenset({name}), body, line)  # type: ignore[arg-type]


def proved(name: str) -> Outcome:
    return Outcome(name, "a subject", Verdict.PROVED, "proved", "fine")


def test_all_run_at_once_and_come_back_in_order() -> None:
    # Each waits for all the others: one after the other they would never end.
    meeting = threading.Barrier(6, timeout=60)
    order: list[str] = []

    def body(name: str) -> Outcome:
        meeting.wait()
        return proved(name)

    names = [f"check {number}" for number in range(6)]
    checks = [check(name, lambda name=name: body(name)) for name in names]
    found = run(checks, progress=lambda outcome: order.append(outcome.check), timeout=60)
    assert [outcome.check for outcome in found] == names
    assert sorted(order) == names


def test_those_of_one_line_take_turns_in_their_order_and_keep_nobody_else_waiting() -> None:
    # Of each line one, and the one without: they wait for each other, so they do run at once.
    meeting = threading.Barrier(3, timeout=60)
    busy = threading.Lock()
    order: list[str] = []

    def body(name: str) -> Outcome:
        if name in ("first", "other", "alone"):
            meeting.wait()
        if lines[name] == "one":
            assert busy.acquire(blocking=False), "another of the line is not through"
            time.sleep(0.05)
            order.append(name)
            busy.release()
        return proved(name)

    lines = {"first": "one", "second": "one", "alone": "", "other": "two", "third": "one"}
    found = run([check(name, lambda name=name: body(name), line) for name, line in lines.items()], timeout=60)
    assert [outcome.check for outcome in found] == [*lines]
    assert {outcome.verdict for outcome in found} == {Verdict.PROVED}
    assert order == ["first", "second", "third"]


def test_each_has_its_whole_time_from_its_turn_on() -> None:
    def body(name: str) -> Outcome:
        time.sleep(0.4)
        return proved(name)

    names = [f"check {number}" for number in range(5)]
    found = run([check(name, lambda name=name: body(name), "one") for name in names], timeout=1.5)
    assert [outcome.verdict for outcome in found] == [Verdict.PROVED] * 5  # 2 s together


def test_one_that_does_not_come_back_ends_its_turn() -> None:
    forever = threading.Event()
    checks = [
        check("slow", lambda: forever.wait() and proved("slow"), "one"),
        check("next", lambda: proved("next"), "one"),
    ]
    slow, following = run(checks, timeout=0.5)
    forever.set()
    assert (slow.verdict, slow.code) == (Verdict.UNCLEAR, "timeout")
    assert following.verdict is Verdict.PROVED


def test_one_that_does_not_come_back_could_not_tell_and_is_not_waited_for() -> None:
    forever = threading.Event()
    told: list[str] = []
    checks = [
        check("slow", lambda: forever.wait() and proved("slow")),
        check("quick", lambda: proved("quick")),
    ]
    began = time.monotonic()
    slow, quick = run(checks, progress=lambda outcome: told.append(outcome.check), timeout=0.5)
    assert time.monotonic() - began < 30
    forever.set()
    assert (slow.verdict, slow.code) == (Verdict.UNCLEAR, "timeout")
    assert quick.verdict is Verdict.PROVED
    assert told == ["quick", "slow"]


def test_one_that_raises_could_not_tell_and_does_not_say_what() -> None:
    def body() -> Outcome:
        raise RuntimeError("password is s3cr3t-Value")

    (found,) = run([check("broken", body)])
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "unforeseen")
    assert "s3cr3t-Value" not in str(found)
    assert "RuntimeError" in found.said


def test_no_checks_are_no_outcomes() -> None:
    assert run([]) == ()


def test_a_body_that_fails_keeps_what_was_noted_and_hides_secrets() -> None:
    def body(notes: Notes) -> str:
        notes.note("host", "h")
        notes.note("empty", "")
        notes.warn("a warning of s3cr3t-Value")
        raise Ended(Verdict.REFUSED, "some-code", "said s3cr3t-Value", "do not use s3cr3t-Value")

    found = make_check("c", "s", {"c"}, body, secrets=["s3cr3t-Value", ""]).run()
    assert found.facts == {"host": "h"}
    assert (found.said, found.next, found.warnings) == ("said …", "do not use …", ("a warning of …",))
    assert found.seconds >= 0

    def unforeseen(_: Notes) -> str:
        raise KeyError("s3cr3t-Value")

    found = make_check("c", "s", {"c"}, unforeseen).run()
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "unforeseen")
    assert "s3cr3t-Value" not in str(found)


def test_quotations_are_short_and_one_line() -> None:
    assert quoted("a\n b\tc") == "a b c"
    assert len(quoted("word " * 1000)) == 300
    assert quoted("longer secret, long", ["long", "longer secret"]) == "…, …"
    # Too short to be one: it would be found in every word.
    assert quoted("abc", ["a"]) == "abc"


def test_work_that_knows_no_time_out_gets_one() -> None:
    assert in_time(lambda: 7, 60) == 7
    forever = threading.Event()
    with pytest.raises(TimeoutError):
        in_time(forever.wait, 0.2)
    forever.set()
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 // 0, 60)


def test_a_deadline_is_never_no_time_at_all() -> None:
    # A time-out of 0 means none to a socket.
    assert Deadline.after(-5).left > 0
    assert Deadline.after(-5).passed
    assert not Deadline.after(60).passed


def test_an_outcome_as_json() -> None:
    outcome = Outcome("c", "s", Verdict.REFUSED, "code", "said", {"a": "b"}, ("w",), "next", 1.23456)
    assert outcome.as_json() == {
        "check": "c",
        "subject": "s",
        "verdict": "refused",
        "code": "code",
        "said": "said",
        "facts": {"a": "b"},
        "warnings": ["w"],
        "next": "next",
        "seconds": 1.235,
    }
