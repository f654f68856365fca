"""The router's addresses of stores: a wrong one prevents the start; the error names the setting only."""

import pytest

from router.errors import RouterSettingsError
from router.settings import Settings


@pytest.mark.parametrize("variable", ["REDIS_URL", "POSTGRES_DSN", "NEO4J_URI"])
def test_an_address_of_another_kind_names_its_variable_and_no_password(variable: str) -> None:
    with pytest.raises(
        RouterSettingsError, match=f"{variable}: give an address that begins"
    ) as refused:
        Settings.from_environment({variable: "http://user:secret@store:80"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("REDIS_URL", "redis+sentinel://a:26379,b/service/0"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("POSTGRES_DSN", "postgres:///postgres?host=/run"),
        ("NEO4J_URI", "neo4j+s://graph.example:7687"),
    ],
)
def test_every_scheme_that_a_driver_takes_is_taken(variable: str, address: str) -> None:
    stores = Settings.from_environment({variable: address}).stores
    assert address in (stores.redis_url, stores.postgres_dsn, stores.neo4j_uri)
