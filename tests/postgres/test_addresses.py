"""Where PostgreSQL is: addresses, and what is said of wrong ones."""

from typing import Any

import pytest

from taxiway.errors import ConfigError, StoreError
from taxiway.key_store import KeyQuery
from taxiway.store import open_store
from taxiway.store.postgres.link import dsn_of

pytestmark = pytest.mark.looptime(False)


class TestAddresses:
    """What a database URL may say."""

    @pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql", "postgres"])
    async def test_every_spelling_names_the_database(self, postgres: str, scheme: str) -> None:
        """The driver's name in the scheme is welcome and not needed."""
        store = await open_store(postgres.replace("postgresql", scheme, 1))
        await store.close()

        assert "postgresql" == store.backend

    @pytest.mark.parametrize(
        ("url", "dsn"),
        [
            pytest.param("postgres://u:p@h:1/d", "postgresql://u:p@h:1/d", id="the scheme"),
            pytest.param(
                "postgresql+asyncpg://u:p%40@h/d?ssl=require",
                "postgresql://u:p%40@h/d?sslmode=require",
                id="TLS as SQLAlchemy spells it",
            ),
            pytest.param(
                "postgresql://u@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg", id="a socket"
            ),
        ],
    )
    def test_it_is_handed_to_the_driver(self, url: str, dsn: str) -> None:
        """The driver gets the address in its own words."""
        assert dsn == dsn_of(url)

    async def test_what_other_clients_are_told_is_left_out(self, postgres: str) -> None:
        """An address as Prisma takes it, with LiteLLM's options for its pool, reaches the same database."""
        joint = "&" if "?" in postgres else "?"
        options = (
            "schema=public&connection_limit=10&pool_timeout=60&pgbouncer=true&connect_timeout=5"
        )

        store = await open_store(f"{postgres}{joint}{options}")

        accounts, total = await store.list_keys(KeyQuery(limit=1), now=0.0)
        assert (0, 0) == (len(accounts), total)
        await store.close()

    async def test_an_unreadable_one_stops_the_start(self) -> None:
        """An address that makes no sense is refused in one sentence, without the password in it."""
        with pytest.raises(ConfigError) as caught:
            await open_store("postgresql://user:secret@host:port/database")

        assert caught.value.message.startswith("database_url is none that PostgreSQL can use;")
        assert "secret" not in caught.value.message

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            pytest.param(
                "postgresql://postgres@127.0.0.1:1/x",
                r"^The database cannot be reached: .*127\.0\.0\.1",
                id="nobody there",
            ),
            pytest.param(
                None,
                r'^The database cannot be reached: database "nowhere" does not exist\.$',
                id="no such database",
            ),
        ],
    )
    async def test_a_server_that_does_not_take_us_stops_the_start(
        self, postgres_server: Any, url: str | None, message: str
    ) -> None:
        """What the server says is in the sentence."""
        with pytest.raises(StoreError, match=message):
            await open_store(url or postgres_server.url("nowhere"))
