"""SMTP_*, tried on a mail server that takes one login."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdash.preflight import Outcome, Verdict
from hotdash.preflight.smtp import Mail
from tests.hotdash.preflight.trying import outcome
from tests.servers.mail import PASSWORD, USERNAME, mail_server
from tests.servers.silent import closed, silent
from tests.servers.tls import Certificates

RIGHT = {"SMTP_ADDRESS": "localhost", "SMTP_USERNAME": USERNAME, "SMTP_PASSWORD": PASSWORD}


def tried(port: int, **values: str) -> Outcome:
    found = outcome({**RIGHT, "SMTP_PORT": str(port), **values})
    assert PASSWORD not in str(found)
    assert USERNAME not in str(found)
    return found


@pytest.mark.parametrize("mechanism", ["", "plain", "login"])
def test_a_login_behind_starttls_is_proved(certificates: Certificates, trusted: None, mechanism: str) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server:
        found = tried(server.port, SMTP_AUTHENTICATION=mechanism)
        assert found.verdict is Verdict.PROVED, found
        assert found.facts["tls"] == "STARTTLS"
        assert found.warnings == ()
        assert server.received == []


def test_a_wrong_login_is_refused(certificates: Certificates, trusted: None) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server:
        for wrong in ({"SMTP_PASSWORD": "another-one"}, {"SMTP_USERNAME": "somebody"}):
            found = tried(server.port, **wrong)
            assert (found.verdict, found.code) == (Verdict.REFUSED, "wrong-password"), found
            assert found.said.startswith("535")


def test_starttls_that_is_off_leaves_no_login(certificates: Certificates) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server:
        found = tried(server.port, SMTP_ENABLE_STARTTLS_AUTO="false")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "no-login"), found


def test_a_mechanism_that_is_not_offered_is_refused(certificates: Certificates, trusted: None) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server:
        found = tried(server.port, SMTP_AUTHENTICATION="cram_md5")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "mechanism"), found
    assert "plain" in found.next


def test_a_certificate_that_is_not_trusted_here_decides_nothing(certificates: Certificates) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server:
        found = tried(server.port)
        assert (found.verdict, found.code) == (Verdict.UNCLEAR, "certificate"), found
        assert tried(server.port, SMTP_OPENSSL_VERIFY_MODE="none").verdict is Verdict.PROVED


@pytest.mark.parametrize("setting", ["SMTP_TLS", "SMTP_SSL"])
def test_implicit_tls(certificates: Certificates, trusted: None, setting: str) -> None:
    with mail_server(implicit=certificates.for_a_server()) as server:
        found = tried(server.port, **{setting: "true"})
        assert found.verdict is Verdict.PROVED, found
        assert found.facts["tls"] == "implicit"


def test_implicit_tls_to_a_server_without_is_refused() -> None:
    with mail_server() as server:
        found = tried(server.port, SMTP_TLS="true")
    assert (found.verdict, found.code) == (Verdict.REFUSED, "tls-not-offered"), found


def test_a_login_without_tls_is_warned_of() -> None:
    # aiosmtpd offers a login without TLS only where it is told to.
    with mail_server() as server:
        found = tried(server.port)
    assert found.verdict is Verdict.PROVED, found
    assert any("in clear" in text for text in found.warnings)


def test_a_server_without_a_login_is_refused_where_one_is_given_and_proved_where_not() -> None:
    with mail_server(login=False) as server:
        assert tried(server.port).code == "no-login"
        found = outcome({"SMTP_ADDRESS": "localhost", "SMTP_PORT": str(server.port)})
    assert found.verdict is Verdict.PROVED, found
    assert "not logged in" in found.said


def test_no_address_means_that_nothing_can_be_tried() -> None:
    found = outcome({"SMTP_USERNAME": "u", "SMTP_PASSWORD": PASSWORD})
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "incomplete")
    assert "SMTP_ADDRESS" in found.next


def test_the_machines_env_counts_and_a_secret_wins(certificates: Certificates, trusted: None) -> None:
    with mail_server(starttls=certificates.for_a_server()) as server, closed() as elsewhere:
        found = outcome(RIGHT, env={"SMTP_PORT": str(server.port), "SMTP_PASSWORD": "from-the-env"})
        assert found.verdict is Verdict.PROVED, found
        found = outcome({**RIGHT, "SMTP_PORT": str(server.port)}, env={"SMTP_PORT": str(elsewhere)})
        assert found.verdict is Verdict.PROVED, found


@pytest.mark.parametrize(
    "wrong", [{"SMTP_PORT": "smtp"}, {"SMTP_PORT": "0"}, {"SMTP_AUTHENTICATION": "magic"}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    found = outcome({**RIGHT, **wrong})
    assert (found.verdict, found.code) == (Verdict.REFUSED, "malformed"), found


def test_what_does_not_answer_tells_nothing() -> None:
    with closed() as port:
        assert tried(port).code == "nothing-listens"
    with silent() as port:
        found = outcome({**RIGHT, "SMTP_PORT": str(port)}, timeout=0.5)
    assert (found.verdict, found.code) == (Verdict.UNCLEAR, "timeout"), found
    assert "465" in found.next


@given(
    st.dictionaries(
        st.sampled_from(["SMTP_ENABLE_STARTTLS_AUTO", "SMTP_TLS", "SMTP_SSL"]),
        st.sampled_from(["", "true", "1", "TRUE", "yes", "false", "0", "f", "off", "FALSE"]),
    )
)
def test_booleans_are_read_as_rails_casts_them(settings: dict[str, str]) -> None:
    mail = Mail.of({"SMTP_ADDRESS": "h", **settings})

    def cast(name: str, default: bool) -> bool:
        text = settings.get(name, "")
        return default if text == "" else text.lower() not in ("false", "0", "f", "off")

    assert mail.starttls is cast("SMTP_ENABLE_STARTTLS_AUTO", True)
    assert mail.implicit is (cast("SMTP_TLS", False) or cast("SMTP_SSL", False))
    assert mail.port == 587
