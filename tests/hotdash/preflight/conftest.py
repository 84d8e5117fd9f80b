"""The servers that these tests try credentials on. Each is started when first asked for, once a worker."""

from collections.abc import Iterator

import pytest

from tests.servers.postgres import Server, postgres
from tests.servers.storage import Storage, storage
from tests.servers.tls import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Postgres on 127.0.0.1 and ::1."""
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="session")
def bucket() -> Iterator[Storage]:
    with storage() as running:
        yield running


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the authority of these certificates."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
