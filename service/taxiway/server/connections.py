"""What aiohttp says by itself when a connection carries something that is not a request.

It happens below the application: its middlewares never see it. Left alone, aiohttp answers in plain text, quotes
what it could not read, a key perhaps, and logs every port scan as an error of ours with a traceback.
"""

import asyncio
from typing import Any

from aiohttp import ClientError, web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong

from taxiway.errors import BadRequestError
from taxiway.server.keys import LOGS, METRICS
from taxiway.server.problems import problem

#: OpenTelemetry's word for a method that is none.
_NO_METHOD = "_OTHER"

#: What a caller does wrong, or stops doing. Nobody here has to act.
_THEIRS = (HttpProcessingError, web.RequestPayloadError, ClientError, ConnectionError)


class Listener(web.AppRunner):
    """aiohttp's runner of an application, with connections that speak as the application does."""

    async def _make_server(self) -> web.Server:
        made, app = await super()._make_server(), self.app
        return _Server(
            app,
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=asyncio.get_running_loop(),
            **made._kwargs,  # noqa: SLF001 - there is no other way to give it connections of our own
        )


class _Server(web.Server):
    def __init__(self, app: web.Application, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._app = app

    def __call__(self) -> web.RequestHandler:
        return _Connection(self._app, self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ("_app",)

    def __init__(self, app: web.Application, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._app = app

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read, in OpenAI's shape; anything else is a bug, and aiohttp's to tell."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        error = BadRequestError(_said(exc), code="invalid_http")
        self._write_down(request, error)
        response = problem(error)
        response.headers["Server"] = "taxiway"
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Keep what a caller did out of the errors that somebody is called for."""
        if not isinstance(options.get("exc_info"), _THEIRS):
            super().log_exception(*args, **options)

    def _write_down(self, request: web.BaseRequest, error: BadRequestError) -> None:
        if (logs := self._app.get(LOGS)) is None:
            return  # the second port, where probes knock
        self._app[METRICS].http(_NO_METHOD, "other", error.status_code, None)
        logs.access(
            _NO_METHOD,
            route="other",
            path="",
            code=error.status_code,
            duration_s=0.0,
            client=request.remote,
            error_code=error.code,
        )


def _said(exc: HttpProcessingError) -> str:
    if isinstance(exc, LineTooLong):
        return "A line of the request, its address or a header, is longer than 8190 bytes."
    return "The bytes received are not an HTTP/1.1 request."
