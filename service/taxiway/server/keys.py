"""What the application and a request carry, by typed keys. Handlers read it here and hand plain arguments down."""

from collections.abc import Mapping, Sequence

from aiohttp import ClientSession, web

from taxiway.artifacts import Archive
from taxiway.clock import Clock
from taxiway.errors import TaxiwayError
from taxiway.jobs import Job
from taxiway.journal import Journal
from taxiway.keyring import KeyRing
from taxiway.logs import Logs
from taxiway.metrics import Metrics
from taxiway.protocols import Observer
from taxiway.purses import Purses
from taxiway.routing.fleet import Fleet
from taxiway.runner import Runner
from taxiway.seats import Seats
from taxiway.server.drain import Drain
from taxiway.server.followers import Sweep
from taxiway.server.frames import JobFrames
from taxiway.server.identity import Identity
from taxiway.server.links import Links
from taxiway.server.tokens import Grant, Tokens
from taxiway.server.watch import Watch
from taxiway.server.webhooks.endpoints import Webhooks
from taxiway.server.webhooks.office import Office
from taxiway.settings import Settings
from taxiway.store import Store

SETTINGS = web.AppKey("settings", Settings)
CLOCK = web.AppKey("clock", Clock)
LOGS = web.AppKey("logs", Logs)
METRICS = web.AppKey("metrics", Metrics)
SESSION = web.AppKey("session", ClientSession)
ARCHIVE = web.AppKey("archive", Archive)

#: Where images wait for whoever asked that no archive took.
SPOOL = web.AppKey("spool", Archive)

STORE = web.AppKey("store", Store)
KEYRING = web.AppKey("keyring", KeyRing)
FLEET = web.AppKey("fleet", Fleet)
OBSERVERS: web.AppKey[Sequence[Observer]] = web.AppKey("observers", Sequence)
JOURNAL = web.AppKey("journal", Journal)
LINKS = web.AppKey("links", Links)
TOKENS = web.AppKey("tokens", Tokens)
JOB_FRAMES = web.AppKey("job_frames", JobFrames)
SEATS = web.AppKey("seats", Seats)
PURSES = web.AppKey("purses", Purses)
RUNNER = web.AppKey("runner", Runner)
SWEEP = web.AppKey("sweep", Sweep)
OFFICE = web.AppKey("office", Office)
WEBHOOKS = web.AppKey("webhooks", Webhooks)
WATCH = web.AppKey("watch", Watch)
DRAIN = web.AppKey("drain", Drain)

#: When the service began, in whole Unix seconds.
STARTED_AT = web.AppKey("started_at", int)

#: The name this call goes by, in our log and in the caller's.
CALL_ID = web.RequestKey("call_id", str)

#: The W3C trace the caller is in, by the fields of a job; empty where there is none.
TRACE: web.RequestKey[Mapping[str, str]] = web.RequestKey("trace", Mapping)

#: What the token allows that let the request in, where it was one.
GRANT = web.RequestKey("grant", Grant)

#: Who asks. Absent where no key was needed: for a probe, a token, a signed link.
IDENTITY = web.RequestKey("identity", Identity)

#: When the request was read, by the loop's clock.
STARTED_S = web.RequestKey("started_s", float)

#: The job behind the answer, as it was last seen. Set as soon as there is one.
JOB = web.RequestKey("job", Job)

#: Set where an earlier request had asked for the job already.
REPLAYED = web.RequestKey("replayed", bool)

#: Set where the time of the answer is the time of something else: a job's, or a viewer's patience.
UNTIMED = web.RequestKey("untimed", bool)

#: Why it is refused, where that was found before the middlewares were asked.
REFUSED = web.RequestKey("refused", TaxiwayError)

#: The code of the error that is answered, for the log.
ERROR_CODE = web.RequestKey("error_code", str)
