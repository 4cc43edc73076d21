"""Whom a webhook may reach: public addresses, and networks that the settings name; whatever a name leads to."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.receivers import SECRET, Receiver
from tests.test_webhooks import ask, settled

from taxiway.clock import Clock
from taxiway.deliveries import Delivery, Endpoint, Outcome, Try
from taxiway.events import EventName
from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server.webhooks.guard import Guard
from taxiway.server.webhooks.sending import Sender
from taxiway.settings import Secret, Settings

# Names are looked up in a thread, which virtual time does not wait for.
pytestmark = pytest.mark.looptime(False)

PUBLIC = "93.184.216.34"


class Names(AbstractResolver):
    """A name server whose every answer is written down before: the next question gets the next one."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = [*answers]
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the next answer."""
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def sender(*networks: str, names: Names | None = None) -> AsyncIterator[Sender]:
    """What sends, with these networks allowed."""
    async with Sender(Guard(networks), now=Clock().now, resolver=names) as sender:
        yield sender


async def send(sender: Sender, url: str) -> Try:
    """How a try to tell an address goes."""
    delivery = Delivery(
        job_id="job_1",
        number=0,
        revision=5,
        event=EventName.COMPLETED,
        endpoint=Endpoint(source="request", url=url),
        created_at=0.0,
        due_at=0.0,
    )
    return (await sender.send(delivery, b"{}", secrets=[SECRET])).last


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A program on this machine."""
    receiver = Receiver()
    async with receiver.listening():
        yield receiver


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "224.0.1.1"),
        *("240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fd00::1", "fe80::1", "fe80::1%eth0", "ff02::1", "2001:db8::1"),
        # An IPv4 address within an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::"),
        # What a resolver or a kernel may understand, and nobody should.
        *("2130706433", "127.1", "0x7f000001", "0177.0.0.1", "localhost", ""),
    ],
)
def test_an_address_that_only_this_service_can_reach_is_refused(address: str) -> None:
    """Loopback, private, link-local with the cloud's metadata, reserved, multicast; in whatever dress."""
    assert not Guard(()).admits(address)


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::6810:84e5", f"::ffff:{PUBLIC}"])
def test_a_public_address_may_be_called(address: str) -> None:
    """Of either family; in the clear, it may not."""
    assert Guard(()).admits(address)
    assert not Guard(()).admits(address, public=False)


def test_a_network_of_the_settings_may_be_called() -> None:
    """And nothing else that is private."""
    guard = Guard(("10.1.0.0/16", "fd00::/8"))

    assert [True, True, True, False, False] == [
        guard.admits(each, public=False)
        for each in ("10.1.2.3", "fd00::7", "::ffff:10.1.2.3", "10.2.0.1", "127.0.0.1")
    ]


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0", "[::ffff:127.0.0.1]", "[::]"]
)
async def test_nobody_is_called_who_may_not_be(receiver: Receiver, scheme: str, host: str) -> None:
    """Neither by a name nor by a number, however it is written."""
    async with sender() as sending:
        tried = await send(sending, f"{scheme}://{host}:{receiver.port}/")

    # A number that is written in no usual way is not even looked for.
    assert tried.outcome in (Outcome.FORBIDDEN, Outcome.UNREACHABLE)
    assert (None, []) == (tried.code, receiver.heard)


async def test_a_name_that_leads_elsewhere_a_moment_later_is_of_no_use(receiver: Receiver) -> None:
    """DNS rebinding: what counts is the address of the very connection, and each one is looked at."""
    names = Names(("127.0.0.1",), ("10.0.0.1", "::1"))
    async with sender(names=names) as sending:
        tried = [await send(sending, f"https://rebound.example:{receiver.port}/") for _ in "12"]

    assert [Outcome.FORBIDDEN] * 2 == [each.outcome for each in tried]
    assert ([], 2) == (receiver.heard, names.asked)


async def test_of_several_addresses_only_allowed_ones_are_called(receiver: Receiver) -> None:
    """A name that leads to two machines is called at the one that may be called."""
    names = Names(("10.9.9.9", "127.0.0.1"))
    async with sender("127.0.0.0/8", names=names) as sending:
        tried = await send(sending, f"http://two.example:{receiver.port}/")

    assert (Outcome.DELIVERED, 204) == (tried.outcome, tried.code)


async def test_who_speaks_no_tls_is_not_told(receiver: Receiver) -> None:
    """Nor anybody with a certificate that nobody vouches for."""
    async with sender("127.0.0.0/8") as sending:
        tried = await send(sending, f"https://127.0.0.1:{receiver.port}/")

    assert (Outcome.UNREACHABLE, []) == (tried.outcome, receiver.heard)


class TestFrontDoor:
    """The same, asked for by a request."""

    @pytest.fixture
    def sandbox_settings(self) -> SandboxSettings:
        """A Runway that is quick."""
        return SandboxSettings(duration_s=0.1, queue_s=0.0, pictures="plain")

    @pytest.fixture
    def settings(self, settings: Settings, sandbox: Sandbox) -> Settings:
        """A service that may call public addresses only."""
        return replace(settings, webhook_secrets=(Secret(SECRET),))

    async def test_a_private_address_behind_a_name_is_given_up_at_once(
        self, client: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        """The job's log of its webhooks says why, and not what the name leads to."""
        job: Any = await ask(client, {"url": f"https://localhost:{receiver.port}/"})
        (delivery,) = await settled(client, job, "failed")

        assert [("forbidden", None)] == [(e["outcome"], e["code"]) for e in delivery["tries"]]
        assert [] == receiver.heard
