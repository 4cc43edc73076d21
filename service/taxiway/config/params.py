"""The words of a `model_list` entry and of a credential; `entry` and `credentials` make settings of them."""

from taxiway.config import further
from taxiway.config.addresses import api_base
from taxiway.config.key_params import budget, period
from taxiway.config.policies import names, not_negative, per_trouble, tags
from taxiway.config.values import dollars, flag, headers, identity, positive, secret, version, whole
from taxiway.config.words import Vocabulary, Word, handled, later, no_effect, sets
from taxiway.vendors import Vendor

TAGS = "`enable_tag_filtering` of router_settings says whether tags choose deployments"
#: Names that OpenAI's callers know, and the vendor's names for the same.
VENDOR_NAMES = {
    "size": "ratio",
    "output_format": "outputFormat",
    "moderation": "contentModeration",
    "reference_images": "referenceImages",
    "thinking_level": "thinkingLevel",
}

ENTRY = Vocabulary(
    "an entry of model_list",
    {"model_name": handled(), "litellm_params": handled(), "model_info": handled()},
)

#: What an image costs by its owner's word; the second counts where the first is not given, and they are never
#: added up.
PRICES: dict[str, Word] = {
    "output_cost_per_image": sets("price_microusd", dollars),
    "input_cost_per_image": sets("input_price_microusd", dollars),
}

PARAMS: dict[str, Word] = {
    "model": handled(),
    "custom_llm_provider": handled(),
    "litellm_credential_name": handled(),
    "mock_response": handled(),
    "timeout": sets("timeout_s", positive("seconds")),
    "num_retries": sets("num_retries", whole("retries", least=0)),
    "drop_params": sets("drop_params", flag),
    "ssl_verify": sets("verify_tls", flag),
    "extra_headers": sets("headers", headers, private=True),
    "outputCount": later("`n` of a request says how many images it pays for"),
    "stream_timeout": sets("stream_timeout_s", positive("seconds")),
    "additional_drop_params": later("`drop_params` drops every field the model does not have"),
    "weight": sets("weight", not_negative("shares")),
    "order": sets("order", whole("", least=0)),
    "rpm": sets("rpm", positive("submissions a minute")),
    "tpm": sets("tpm", positive("tokens a minute")),
    "max_parallel_requests": sets("max_parallel_requests", whole("tasks", least=1)),
    "cooldown_time": sets("cooldown_time_s", not_negative("seconds")),
    "max_budget": sets("max_budget_microusd", budget),
    "budget_duration": sets("budget_duration", period),
    "tags": sets("tags", tags),
    **PRICES,
    **further.PARAMS,
}

INFO = Vocabulary(
    "model_info",
    {
        "id": sets("id", identity),
        "mode": handled(),
        "team_id": handled(),
        "access_windows": handled(),
        "blocked": sets("blocked", flag),
        "base_model": later("the price is looked up under the model's own name"),
        "access_groups": sets("access_groups", names),
        "allowed_fails": sets("allowed_fails", whole("failures", least=0)),
        "allowed_fails_policy": sets(
            "allowed_fails_policy", per_trouble("AllowedFails"), private=True
        ),
        "enable_tag_filtering": later(TAGS),
        "allow_fail_open": later(TAGS),
        **PRICES,
        **further.INFO,
    },
)

CREDENTIAL = Vocabulary(
    "an entry of credential_list",
    {"credential_name": handled(), "credential_values": handled(), "credential_info": handled()},
)


def account(vendor: Vendor) -> dict[str, Word]:
    """Return the words that say whose account pays, at a vendor."""
    known = sets("api_version", version)
    return {
        "api_key": sets("api_key", secret, private=True),
        "api_base": sets("api_base", api_base(vendor), private=True),
        "api_version": known if vendor.versioned else no_effect(f"{vendor.name} has no versions"),
    }


def credential_values(vendor: Vendor) -> Vocabulary:
    """Return the words of a credential that an entry of this vendor names."""
    return Vocabulary("credential_values", {**account(vendor), **further.PARAMS})


def litellm_params(vendor: Vendor, body_fields: tuple[str, ...]) -> Vocabulary:
    """Return the words of `litellm_params`: LiteLLM's, and body fields by the vendor's names."""
    return Vocabulary(
        "litellm_params",
        {**account(vendor), **PARAMS, **{field: handled() for field in body_fields}},
        meant={name: field for name, field in VENDOR_NAMES.items() if field in body_fields},
    )
