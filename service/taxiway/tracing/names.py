"""The names on a span. Those that begin with `gen_ai` follow OpenTelemetry's conventions of 2026.

They are in development and have no operation for images; `generate_content` with an output of images fits best.
Money and phases have no convention and stand under our own name.
"""

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_CHOICES = "gen_ai.request.choice.count"
REQUEST_SEED = "gen_ai.request.seed"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

JOB_ID = "taxiway.job.id"
JOB_STATUS = "taxiway.job.status"
REQUEST_ID = "taxiway.request.id"
DEPLOYMENT = "taxiway.deployment"
ATTEMPT = "taxiway.attempt"
ATTEMPTS = "taxiway.attempts"
REFUSALS = "taxiway.refusals"
POLLS = "taxiway.polls"
CREDITS = "taxiway.cost.credits"
COST_USD = "taxiway.cost.usd"
COST_FINAL = "taxiway.cost.final"
#: With the phase and `_s` after it.
PHASE_TIME = "taxiway.phase."

GENERATE_CONTENT = "generate_content"
IMAGE = "image"
