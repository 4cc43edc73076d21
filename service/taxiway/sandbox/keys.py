"""Where the routes find the sandbox's state, and a request its own record."""

from aiohttp import web

from taxiway.sandbox.records import RequestRecord
from taxiway.sandbox.world import World

WORLD = web.AppKey("world", World)
RECORD = web.RequestKey("record", RequestRecord)
