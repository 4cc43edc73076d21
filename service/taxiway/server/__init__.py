"""The HTTP service: `create_app` shows all of it, `running.serve` keeps it up until it is told to stop."""

from functools import partial

from aiohttp import web

from taxiway.logs import Logs
from taxiway.server import (
    console,
    cors,
    edits,
    health,
    images,
    job_images,
    jobs,
    key_routes,
    many,
    middleware,
    minting,
    models,
    sse,
    usage,
    viewers,
)
from taxiway.server.expectations import answer_expectation
from taxiway.server.keys import LOGS, SETTINGS, STORE
from taxiway.server.lifecycle import LIFECYCLE, leave
from taxiway.server.webhooks import routes as webhooks
from taxiway.settings import Settings
from taxiway.store import Store

_JOB = "/v1/jobs/{id:job_[0-9A-Za-z]+}"


def create_app(
    settings: Settings, *, store: Store | None = None, logs: Logs | None = None
) -> web.Application:
    """Return the service as an application that has not been started.

    Without a `store` that of `database_url` is opened at the start and closed at the end; without `logs` they
    go to standard output. What is handed in stays open: it belongs to the caller.
    """
    app = web.Application(
        client_max_size=settings.max_body_bytes,
        middlewares=[
            middleware.account,
            middleware.answer_errors,
            # A layer more would weigh a quarter of a KiB in every open stream.
            *([cors.answer_preflight] if settings.cors_origins else ()),
            middleware.require_key,
        ],
    )
    app.on_response_prepare.append(middleware.put_headers)
    app.add_routes(
        [
            _post("/v1/images/generations", images.generate),
            _post("/images/generations", images.generate),
            _post("/openai/deployments/{model:.+}/images/generations", images.generate),
            _post("/v1/images/edits", edits.edit),
            _post("/images/edits", edits.edit),
            _post("/openai/deployments/{model:.+}/images/edits", edits.edit),
            _post("/v1/images/quote", images.quote),
            web.get("/v1/models", models.list_models),
            web.get("/models", models.list_models),
            web.get("/v1/models/{id:.+}", models.get_model),  # names of models contain slashes
            web.get("/v1/jobs", jobs.list_jobs),
            web.get(_JOB, jobs.get_job),
            # A HEAD would hold the stream open to its end, and see none of it.
            web.get(f"{_JOB}/events", sse.job_events, allow_head=False),
            web.get(viewers.MANY, many.many_job_events, allow_head=False),
            _post(f"{_JOB}/cancel", jobs.cancel_job),
            _post(f"{_JOB}/token", minting.job_token),
            _post("/v1/jobs/token", minting.jobs_token),
            web.get(f"{_JOB}/images/{{n:[0-9]{{1,4}}}}", job_images.get_image),
            web.get(f"{_JOB}/webhooks", webhooks.list_webhooks),
            _post(f"{_JOB}/webhooks/{{n:[0-9]{{1,4}}}}/redeliver", webhooks.redeliver),
            web.get("/v1/usage", usage.get_usage),
            _post("/key/generate", key_routes.generate_key),
            web.get("/key/info", key_routes.get_key_info),
            _post("/key/update", key_routes.update_key),
            _post("/key/delete", key_routes.delete_keys),
            _post("/key/block", key_routes.block_key),
            _post("/key/unblock", key_routes.unblock_key),
            _post("/key/regenerate", key_routes.regenerate_key),
            web.get("/key/list", key_routes.list_keys),
            *console.ROUTES,
            *health.PROBES,
            *(health.NUMBERS if settings.metrics_port is None else ()),
        ]
    )
    console.put_description(app, partial(_description, app.router, settings))
    app[SETTINGS] = settings
    if store is not None:
        app[STORE] = store
    if logs is not None:
        app[LOGS] = logs
    app.cleanup_ctx.extend(LIFECYCLE)
    app.on_shutdown.append(leave)
    return app


def _description(router: web.UrlDispatcher, settings: Settings) -> console.Page:
    # Loaded when somebody reads it: most services never need it.
    from taxiway.server import openapi

    return openapi.page(router, settings)


def _post(path: str, handler: middleware.Handler) -> web.RouteDef:
    return web.post(path, handler, expect_handler=answer_expectation)
