"""The rest of LiteLLM's vocabulary (as of its 1.106): keys it knows and Taxiway has no use for.

They are here so that a file written for it starts, with a warning, while a misspelt key does not.
"""

from taxiway.config.words import idle

TEXT = "it is about text, speech or search; Taxiway makes images"
OTHERS = "it belongs to another vendor"
HEALTH = "a look at a deployment must not buy an image"
KEYS = "a virtual key may be given what the `/key` routes take, and nothing else"
TEAMS = "there are no teams, users or roles"
PAGES = "the console has no accounts"
OUTLETS = "Prometheus metrics and structured logs are built in, and are the only outlets"
FALLBACKS = "`fallbacks` says under which names a job goes on, whoever asked for it"
SCHEDULE = "nothing has to be scheduled, flushed or reloaded"
NETWORK = "Taxiway has one client for every call"
PRICES = "an image costs what Runway charges for it"

#: General settings that keep somebody out.
GATES = (
    "admin_only_routes",
    "allowed_ips",
    "enable_oauth2_auth",
    "enable_oauth2_proxy_auth",
    "enforce_rbac",
    "enforced_params",
    "role_permissions",
)

TOP = idle(
    TEXT,
    "mcp_servers mcp_tools vector_store_registry files_settings finetune_settings assistant_settings"
    " search_tools prompts agents agent_list sandbox_tools default_vertex_config",
) | idle("there is no fleet to administer", "worker_registry")

ROUTER = (
    idle(
        "a deployment is chosen anew for every task",
        "deployment_affinity_ttl_seconds model_group_affinity_config tag_routing_prefix weights"
        " fallback_access_check fallback_budget_check router_general_settings plugins"
        " auto_router_capability_limit caching_groups",
    )
    | idle("what cannot be used stops the start", "ignore_invalid_deployments")
    | idle("a deployment's fields stand in its own entry", "default_litellm_params")
    | idle(
        HEALTH,
        "health_check_staleness_threshold health_check_ignore_transient_errors"
        " background_health_check_model_groups",
    )
    | idle("alerts are Prometheus's to send", "alerting_config")
    | idle("`log_level` of taxiway_settings says how much is logged", "set_verbose debug_level")
    | idle(
        TEXT,
        "ttft_timeout stream_idle_timeout assistants_config search_tools enable_pre_call_check",
    )
    | idle("`sse_heartbeat_s` of taxiway_settings keeps streams alive", "keepalive_seconds")
    | idle(NETWORK, "client_ttl")
    | idle("jobs start in the order of their arrival", "polling_interval default_priority")
    | idle("`num_retries` counts the retries", "max_retries")
)

LITELLM = (
    idle(
        OUTLETS,
        "input_callback service_callbacks audit_log_callbacks cold_storage_custom_logger langfuse_* langsmith_*"
        " argilla_* datadog_* newrelic_params pointfive_params zerobus_params gcs_pub_sub_use_v1"
        " generic_api_use_v1 generic_logger_headers s3_callback_params s3_audit_callback_params"
        " aws_sqs_callback_params standard_logging_payload_excluded_fields store_audit_logs"
        " log_raw_request_response log_client_error_tracebacks log_auth_failure_key_identity"
        " request_correlation_in_logs redact_messages_in_exceptions expose_router_debug_in_errors"
        " disable_streaming_logging extra_spend_tag_headers otel_tenant_destination_mode"
        " custom_prometheus_metadata_labels custom_prometheus_tags suppress_debug_info telemetry"
        " global_disable_no_log_param allow_dynamic_callback_disabling logged_real_time_event_types",
    )
    | idle(
        TEXT,
        "modify_params enable_preview_features disable_stop_sequence_limit max_tokens mcp_aliases"
        " add_function_to_prompt context_window_fallbacks reasoning_auto_summary responses"
        " include_cost_in_streaming_usage use_chat_completions_url_for_anthropic_messages"
        " route_all_chat_openai_to_responses disable_token_counter disable_hf_tokenizer_download"
        " enable_json_schema_validation require_managed_files disable_add_prefix_to_prompt"
        " disable_add_transform_inline_image_block disable_copilot_system_to_assistant"
        " enable_loadbalancing_on_batch_endpoints global_prompt_directory global_bitbucket_config"
        " global_gitlab_config public_mcp_servers public_mcp_hub_strict_whitelist public_agent_groups"
        " mcp_tool_search vector_store_search_failure_mode custom_prompt_dict"
        " openai_system_messages_first sse_keepalive_ping_interval_seconds",
    )
    | idle(
        OTHERS,
        "openai_key groq_key azure_key anthropic_key replicate_key cohere_key openrouter_key"
        " huggingface_key vertex_project vertex_location vertex_ai_safety_settings"
        " enable_azure_ad_token_refresh enable_anthropic_prompt_caching anthropic_prompt_caching_ttl"
        " enable_gemini_default_thinking_level_low return_response_headers proxy_auth",
    )
    | idle(
        NETWORK,
        "force_ipv4 http2 disable_aiohttp_transport use_aiohttp_transport aiohttp_trust_env"
        " disable_aiohttp_trust_env ssl_security_level ssl_certificate ssl_ecdh_curve"
        " forward_traceparent_to_llm_provider add_user_information_to_llm_headers"
        " filter_invalid_headers",
    )
    | idle(
        "the address of a reference image is Runway's to fetch",
        "user_url_validation user_url_allowed_hosts provider_url_destination_allowed_hosts",
    )
    | idle(PRICES, "cost_discount_config cost_margin_config model_cost_map_url")
    | idle(
        "`Idempotency-Key` says which requests are the same",
        "enable_redis_auth_cache enable_caching_on_provider_specific_optional_params caching"
        " caching_with_models default_in_memory_ttl default_redis_ttl force_redis_hash_tag_grouping"
        " default_redis_batch_cache_expiry",
    )
    | idle(
        TEAMS,
        "default_team_params default_internal_user_params max_internal_user_budget"
        " default_max_internal_user_budget internal_user_budget_duration max_user_budget"
        " max_end_user_budget max_end_user_budget_id max_ui_session_budget tag_budget_config"
        " disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only"
        " enable_end_user_cost_tracking_prometheus_only overwrite_user_with_key_hash"
        " validate_end_user_id_in_db budget_rollover budget_reset_time default_soft_budget"
        " budget_exceeded_throttle_percentage",
    )
    | idle(
        KEYS,
        "key_generation_settings enable_key_alias_format_validation key_alias_pattern"
        " default_key_max_budget_alert_emails",
    )
    | idle("`num_retries` counts the retries", "num_retries_per_request")
    | idle(FALLBACKS, "model_fallbacks")
    | idle(
        "a model's entry says all there is about it",
        "model_alias_map model_group_settings priority_reservation priority_reservation_settings"
        " public_model_groups public_model_groups_links block_requests_for_models_without_pricing",
    )
)

GENERAL = (
    idle(
        TEAMS,
        "enforce_user_param reject_clientside_metadata_tags service_account_settings litellm_jwtauth"
        " oauth2_config_mappings user_header_name user_header_mappings allow_user_auth"
        " disable_auto_add_proxy_admin_to_teams custom_sso custom_team_metadata_validate"
        " team_metadata_schema default_team_disabled disable_responses_id_security"
        " apply_user_budget_to_team_keys use_team_public_model_name public_routes",
    )
    | idle(
        KEYS,
        "custom_key_generate custom_key_update custom_key_policy disable_custom_api_keys"
        " user_api_key_cache_ttl user_api_key_cache_max_size disable_adding_master_key_hash_to_db"
        " disable_master_key_return allow_client_side_credentials custom_auth_run_common_checks",
    )
    | idle(
        PAGES,
        "ui_access_mode custom_ui_sso_sign_in_handler auto_redirect_ui_login_to_sso control_plane_url"
        " max_failed_login_attempts max_failed_login_attempts_per_source failed_login_window_seconds"
        " disable_env_credential_login allow_cli_sso_verification_uri_complete password_policy_*"
        " enable_public_model_hub hide_default_credentials_hint",
    )
    | idle(
        SCHEDULE,
        "proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time scheduled_job_stagger"
        " proxy_batch_polling_interval proxy_config_reload_interval_seconds use_redis_transaction_buffer"
        " disable_reset_budget spend_report_frequency supported_db_objects disable_spend_updates"
        " disable_error_logs drain_endpoint_token fail_closed_budget_enforcement",
    )
    | idle(
        "the store manages its own schema and connections",
        "database_connect_timeout database_socket_timeout database_statement_timeout"
        " database_lock_timeout database_extra_connection_params database_type database_args"
        " database_disable_prepared_statements database_max_idle_connection_lifetime"
        " disable_prisma_schema_update",
    )
    | idle(
        HEALTH,
        "health_check_details health_check_concurrency health_check_staleness_threshold"
        " health_check_skip_disabled_background_models health_check_ignore_transient_errors"
        " enable_health_check_routing use_shared_health_check background_health_check_model_groups",
    )
    | idle(
        "variables of the environment and files hold the secrets",
        "key_management_system key_management_settings use_google_kms use_azure_key_vault",
    )
    | idle(
        "every request names its model",
        "completion_model image_generation_model embedding_model moderation_model"
        " infer_model_from_keys",
    )
    | idle(
        TEXT,
        "mcp_* enable_mcp_registry require_end_user_mcp_access_defined require_key_mcp_access_defined"
        " user_mcp_management_mode search_tools max_batch_file_size_mb max_file_size_mb"
        " allowed_file_extensions blocked_file_extensions always_include_stream_usage missing_session_id"
        " disable_batch_input_file_rate_limiting skip_batch_input_file_rate_limiting_for_providers"
        " token_rate_limit_type allow_unmanaged_response_ids pass_through_request_timeout"
        " use_client_credentials_pass_through_routes sse_keepalive_ping_interval_seconds",
    )
    | idle(
        "callers' headers stay here",
        "forward_client_headers_to_llm_api forward_llm_provider_auth_headers forward_openai_org_id"
        " use_x_forwarded_for trusted_proxy_ranges",
    )
    | idle("an image has the size that was asked for", "max_response_size_mb")
    | idle(OUTLETS, "otel tracing spend_logs_metadata_fields plugins")
    | idle(
        FALLBACKS,
        "enforce_fallback_model_access enforce_fallback_budget",
    )
    | idle("`num_retries` counts the retries", "disable_retry_on_max_parallel_request_limit_error")
    | idle("Taxiway is free", "litellm_license")
)

PARAMS = (
    idle(
        OTHERS,
        "organization azure_* vertex_* aws_* s3_* watsonx_* anthropic_* openai_* tenant_id client_id"
        " client_secret region_name gcs_bucket_name bucket_name bedrock_tags milvus_* valkey_*"
        " vector_store_id vector_bucket_name index_name embedding_model fireworks_forward_user_id"
        " use_xai_oauth use_litellm_proxy",
    )
    | idle(
        TEXT,
        "use_chat_completions_api merge_reasoning_content_in_choices use_in_pass_through"
        " max_file_size_mb itpm otpm timeout_by_service_tier stream_timeout_by_service_tier",
    )
    | idle(
        "an entry is one model, which it names",
        "auto_router_* complexity_router_* adaptive_router_* quality_router_* tag_regex"
        " provider_affinity_header",
    )
    | idle(
        "a caller cannot change whom Taxiway calls, or how", "configurable_clientside_auth_params"
    )
    | idle(
        "`sse_heartbeat_s` of taxiway_settings keeps streams alive",
        "keepalive_seconds allow_client_keepalive_override",
    )
    | idle("an entry's `model_info` stands beside its `litellm_params`", "model_info")
    | idle(KEYS, "default_api_key_tpm_limit default_api_key_rpm_limit")
    | idle(OUTLETS, "litellm_trace_id turn_off_message_logging litellm_disabled_callbacks")
    | idle("`num_retries` counts the retries", "max_retries")
    | idle("every field of the model is accepted", "allowed_openai_params")
    | idle(
        PRICES,
        "*_cost_per_* cost_per_second *_token_cost *_token_cost_* *_uplift_multiplier*"
        " tiered_pricing output_vector_size",
    )
)

INFO = (
    idle(
        "the catalogue says what the model can do",
        "supports_* supported_* max_tokens max_input_tokens max_output_tokens litellm_provider key"
        " rpm tpm use_openai_responses_path reasoning_effort_levels default_reasoning_effort",
    )
    | idle(
        PRICES,
        "*_cost_per_* cost_per_second *_token_cost *_token_cost_* *_uplift_multiplier*"
        " tiered_pricing output_vector_size ptu_* tier",
    )
    | idle(
        HEALTH,
        "health_check_model health_check_timeout health_check_params disable_background_health_check",
    )
    | idle(
        "a file has no history, and its entries are one list",
        "db_model updated_at updated_by created_at created_by internal_router_model version"
        " member_auto_router",
    )
    | idle(TEAMS, "team_public_model_name")
    | idle("every name that can be asked for is listed", "discoverable")
)
