//! What the gateway answers beyond the reference's schemas: all of it stands here, with the section of the contract
//! that asks for it.

use serde_json::{Map, Value, json};

/// Fields that the contract knows and the schemas do not: section, object, field, schema. An object is the name of a
/// schema and where in it; `*` stands for the start of many names.
fn fields() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    // Errors of Responses say that there is none.
    let no_metadata = [
        "BadRequestResponse",
        "UnauthorizedResponse",
        "PaymentRequiredResponse",
        "ForbiddenResponse",
        "NotFoundResponse",
        "PayloadTooLargeResponse",
        "TooManyRequestsResponse",
        "InternalServerResponse",
        "BadGatewayResponse",
        "ServiceUnavailableResponse",
    ];
    let no_metadata =
        no_metadata.map(|object| ("5.6", object, "metadata", json!({"type": "null"})));
    let mut fields = vec![
        ("3.1", "ChatResult", "provider", text()),
        ("3.1", "ChatChoice", "native_finish_reason", text_or_null()),
        ("3.1", "ChatAssistantMessage", "annotations", annotations()),
        (
            "3",
            "ChatUsage/properties/completion_tokens_details",
            "image_tokens",
            number(),
        ),
        ("3.3", "ChatUsage", "server_tool_use", searches()),
        ("3.3", "OpenAIResponsesUsage", "server_tool_use", searches()),
        (
            "3.3",
            "OpenAIResponsesUsage",
            "server_tool_use_details",
            searches(),
        ),
        (
            "3.7",
            "ChatAssistantImages/items",
            "type",
            json!({"const": "image_url"}),
        ),
        ("4.3", "ChatStreamChunk", "provider", text()),
        ("4.5", "ChatStreamChunk", "debug", shown()),
        (
            "4.3",
            "ChatStreamChoice",
            "native_finish_reason",
            text_or_null(),
        ),
        ("4.3", "ChatStreamDelta", "annotations", annotations()),
        (
            "4.3",
            "ChatStreamDelta",
            "images",
            json!({"$ref": "#/components/schemas/ChatAssistantImages"}),
        ),
        ("5.4", "*ResponseErrorData", "error_type", error_type()),
        ("5.4", "*ResponseErrorData", "http_status", number()),
        ("5.4", "*ResponseErrorData", "availability", availability()),
        (
            "5.4",
            "ChatStreamChunk/properties/error",
            "error_type",
            error_type(),
        ),
        (
            "5.4",
            "ChatStreamChunk/properties/error",
            "http_status",
            number(),
        ),
        (
            "5.4",
            "ChatStreamChunk/properties/error",
            "availability",
            availability(),
        ),
        (
            "5.3",
            "ChatStreamChunk/properties/error/properties/metadata",
            "provider_name",
            text_or_null(),
        ),
        (
            "5.3",
            "ChatStreamChunk/properties/error/properties/metadata",
            "raw",
            text(),
        ),
        (
            "5.3",
            "ChatStreamChunk/properties/error/properties/metadata",
            "previous_errors",
            previous_errors(),
        ),
        (
            "15.10",
            "GenerationResponse/properties/data",
            "turnpike",
            accounted(),
        ),
        ("5.6", "MessagesErrorEvent", "request_id", text_or_null()),
        (
            "11",
            "MessagesDeltaEvent/properties/usage",
            "cost",
            json!({"type": "number"}),
        ),
        (
            "11",
            "MessagesDeltaEvent/properties/usage",
            "is_byok",
            json!({"type": "boolean"}),
        ),
        (
            "11",
            "MessagesDeltaEvent/properties/usage",
            "cost_details",
            json!({"$ref": "#/components/schemas/CostDetails"}),
        ),
        // The reference adds them to results, over a part that is closed here before.
        (
            "11",
            "BaseMessagesResult/properties/usage/allOf/1",
            "cost",
            json!({"type": "number"}),
        ),
        (
            "11",
            "BaseMessagesResult/properties/usage/allOf/1",
            "is_byok",
            json!({"type": "boolean"}),
        ),
        (
            "11",
            "BaseMessagesResult/properties/usage/allOf/1",
            "cost_details",
            json!({"$ref": "#/components/schemas/CostDetails"}),
        ),
        (
            "10",
            "OpenAIResponsesUsage",
            "cost",
            json!({"type": "number"}),
        ),
        (
            "10",
            "OpenAIResponsesUsage",
            "is_byok",
            json!({"type": "boolean"}),
        ),
        (
            "10",
            "OpenAIResponsesUsage",
            "cost_details",
            input_and_output_cost(),
        ),
        ("10", "BaseResponsesResult", "error_type", error_type()),
        (
            "3.4",
            "BaseResponsesResult",
            "openrouter_metadata",
            json!({"$ref": "#/components/schemas/OpenRouterMetadata"}),
        ),
        // Sent back with the item, they prove the reasoning to its provider; the reference has them in results alone.
        ("10", "OutputItemReasoning", "signature", text_or_null()),
        (
            "10",
            "OutputItemReasoning",
            "format",
            json!({"$ref": "#/components/schemas/ReasoningFormat"}),
        ),
    ];
    fields.extend(no_metadata);
    fields
}

/// Lists of words that an operator may add to: section, schema. Providers have the names that they are configured with.
const OPEN_WORDS: [(&str, &str); 4] = [
    ("10", "ServiceTier"),
    (
        "11",
        "MessagesStartEvent/properties/message/properties/provider",
    ),
    ("6.2", "ProviderName"),
    ("14.1", "ProviderResponse/properties/provider_name"),
];

/// Routes that the reference does not describe, or no longer: section, method, path, status, media type, schema.
fn routes() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    Value,
)> {
    let (json, events) = ("application/json", "text/event-stream");
    let event =
        json!({"type": "object", "required": ["data"], "properties": {"data": text_chunk()}});
    vec![
        (
            "11",
            "post",
            "/messages/count_tokens",
            200,
            json,
            object(&["input_tokens"], json!({"input_tokens": number()})),
        ),
        ("12", "post", "/rerank", 200, json, ranking()),
        ("9", "post", "/completions", 200, json, text_completion()),
        ("9", "post", "/completions", 200, events, event),
        (
            "13.7",
            "get",
            "/auth/key",
            200,
            json,
            reference("/paths/~1key/get/responses/200/content/application~1json/schema"),
        ),
        (
            "13.7",
            "get",
            "/parameters/{author}/{slug}",
            200,
            json,
            parameters(),
        ),
        (
            "14.1",
            "get",
            "/generation/explain",
            200,
            json,
            explanation(),
        ),
    ]
}

/// Adds all of it to the reference's document.
pub(super) fn extend(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for (section, object, field, schema) in fields() {
        for object in named(schemas, object) {
            let known = object["properties"]
                .as_object_mut()
                .unwrap()
                .insert(field.into(), schema.clone());
            assert_eq!(known, None, "{section}: the reference knows {field} by now");
        }
    }
    for (section, name) in OPEN_WORDS {
        for words in named(schemas, name) {
            let closed = words.as_object_mut().unwrap().remove("enum");
            assert!(closed.is_some(), "{section}: {name} is open already");
        }
    }
    for (section, method, path, status, media_type, schema) in routes() {
        let answers = &mut document["paths"][path][method]["responses"];
        let content = &mut answers[status.to_string()]["content"];
        assert_eq!(
            content[media_type],
            Value::Null,
            "{section}: the reference knows {path} by now"
        );
        content[media_type] = json!({ "schema": schema });
    }
}

/// The objects that a name of [`fields`] means; at least one.
fn named<'a>(schemas: &'a mut Map<String, Value>, name: &str) -> Vec<&'a mut Value> {
    let (schema, below) = name
        .split_once('/')
        .map_or((name, String::new()), |(schema, below)| {
            (schema, format!("/{below}"))
        });
    let is_meant = |known: &str| match schema.strip_prefix('*') {
        Some(end) => known.ends_with(end),
        None => known == schema,
    };
    let meant = schemas.iter_mut().filter(|(known, _)| is_meant(known));
    let objects: Vec<_> = meant
        .map(|(_, schema)| schema.pointer_mut(&below).unwrap())
        .collect();
    assert!(!objects.is_empty(), "the reference no longer has {name}");
    objects
}

/// How a charge came about.
fn accounted() -> Value {
    let tokens = json!({"type": ["object", "null"], "additionalProperties": number()});
    let prices = json!({"type": ["object", "null"], "additionalProperties": {"type": ["string", "integer"]}});
    let dollars = json!({"type": "number", "minimum": 0});
    let source = json!({"enum": ["reported", "estimated", "clamped", null]});
    json!({
        "type": "object",
        "properties": {
            "usage_source": source, "reported_usage": tokens, "list_cost": dollars, "discount": dollars, "fee": dollars,
            "searches": dollars,
            "unit_prices": prices, "price_source": text_or_null(), "catalog_version": text_or_null(),
            "insured": {"type": "boolean"},
        },
        "required": ["usage_source", "list_cost", "discount", "fee", "insured"],
    })
}

fn text() -> Value {
    json!({"type": "string"})
}

fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

fn number() -> Value {
    json!({"type": "integer"})
}

fn texts() -> Value {
    json!({"type": "array", "items": text()})
}

fn reference(pointer: &str) -> Value {
    json!({"$ref": format!("#{pointer}")})
}

/// An object with these fields, of which `required` must be there.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn error_type() -> Value {
    reference("/components/schemas/ApiErrorType")
}

fn availability() -> Value {
    object(
        &["code", "retryable", "requested_models", "docs_url"],
        json!({
            "code": {"enum": [
                "model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated", "model_unavailable_upstream",
                "privacy_restricted", "constraint_filtered", "free_variant_ended", "region_restricted",
                "capacity_exhausted", "temporarily_unavailable"
            ]},
            "retryable": {"type": "boolean"},
            "requested_models": texts(),
            "docs_url": text(),
            "retry_after": number(),
            "affected_providers": texts(),
            "excluded_by": {"type": "array", "items": {"enum": [
                "geo", "data_region", "data_policy:zdr", "data_policy:training", "max_price", "context_length",
                "require_parameters", "quantization", "allowed_providers"
            ]}},
            "fallback_models": texts(),
            "constraint": object(&["field", "detail"], json!({"field": text(), "detail": text()}))
        }),
    )
}

fn input_and_output_cost() -> Value {
    let dollars = || json!({"type": "number"});
    let parts = json!({
        "upstream_inference_cost": dollars(),
        "upstream_inference_input_cost": dollars(),
        "upstream_inference_output_cost": dollars()
    });
    object(&[], parts)
}

fn previous_errors() -> Value {
    let status = json!({"type": ["integer", "null"]});
    let slim = object(
        &["provider", "code", "status"],
        json!({"provider": text(), "code": text(), "status": status}),
    );
    json!({"type": "array", "items": slim})
}

/// What a provider was sent.
fn shown() -> Value {
    let body = json!({"type": "object", "additionalProperties": {}});
    object(&["echo_upstream_body"], json!({"echo_upstream_body": body}))
}

/// Contract 12.
fn ranking() -> Value {
    let document = object(&[], json!({"text": text(), "image": text()}));
    let result = object(
        &["index", "relevance_score", "document"],
        json!({"index": number(), "relevance_score": {"type": "number"}, "document": document}),
    );
    let usage = object(
        &["cost"],
        json!({"total_tokens": number(), "search_units": number(), "cost": {"type": "number"}}),
    );
    object(
        &["id", "model", "provider", "results", "usage"],
        json!({"id": text(), "model": text(), "provider": text(), "results": {"type": "array", "items": result}, "usage": usage}),
    )
}

/// Contract 3.6.
fn searches() -> Value {
    object(
        &["web_search_requests"],
        json!({"web_search_requests": number()}),
    )
}

fn annotations() -> Value {
    let place = number;
    let citation = json!({"url": text(), "title": text(), "content": text(), "start_index": place(), "end_index": place()});
    let parts =
        json!({"type": "array", "items": reference("/components/schemas/ChatContentItems")});
    let file = json!({"hash": text(), "name": text(), "content": parts});
    let url =
        json!({"type": {"const": "url_citation"}, "url_citation": object(&["url"], citation)});
    let file = json!({"type": {"const": "file"}, "file": object(&["hash", "content"], file)});
    let kinds = json!([
        object(&["type", "url_citation"], url),
        object(&["type", "file"], file)
    ]);
    json!({"type": "array", "items": {"oneOf": kinds}})
}

/// The fields of a text completion and of a chunk of one.
fn text_completion_fields() -> Value {
    let numbers = json!({"type": "array", "items": {"type": ["number", "null"]}});
    let maps = json!({"type": ["array", "null"], "items": {"type": ["object", "null"], "additionalProperties": {"type": "number"}}});
    let logprobs = json!({
        "type": ["object", "null"],
        "properties": {"tokens": texts(), "token_logprobs": numbers, "top_logprobs": maps, "text_offset": {"type": "array", "items": number()}}
    });
    let finish = reference("/components/schemas/ChatFinishReasonEnum");
    let choice = json!({"index": number(), "text": text(), "finish_reason": finish, "native_finish_reason": text_or_null(), "logprobs": logprobs, "reasoning": text_or_null()});
    let choice = object(&["index", "text", "finish_reason", "logprobs"], choice);
    json!({
        "id": text(), "object": {"const": "text_completion"}, "created": number(), "model": text(), "provider": text(),
        "system_fingerprint": text_or_null(), "service_tier": text_or_null(), "choices": {"type": "array", "items": choice},
        "usage": reference("/components/schemas/ChatUsage")
    })
}

fn text_completion() -> Value {
    object(
        &[
            "id", "object", "created", "model", "provider", "choices", "usage",
        ],
        text_completion_fields(),
    )
}

/// Contract 4.6 has the same error for every stream.
fn text_chunk() -> Value {
    let mut fields = text_completion_fields();
    fields["error"] = reference("/components/schemas/ChatStreamChunk/properties/error");
    fields["debug"] = shown();
    object(&["id", "object", "created", "model", "choices"], fields)
}

/// Why a run went where it went: this gateway's own.
fn explanation() -> Value {
    let decimal = || json!({"type": ["number", "null"]});
    let refused =
        json!({"type": ["object", "null"], "properties": {"by": text_or_null(), "reason": text()}});
    let score = json!({"type": ["object", "null"], "properties": {
        "ordered_by": {"enum": ["balance", "order", "price", "throughput", "latency", "exacto"]},
        "health": {"enum": ["well", "degraded", "outage", "down", "resting"]},
        "expected_cost": {"type": ["string", "number"]}, "throughput": decimal(), "latency_ms": decimal(),
        "tool_quality": text_or_null(), "sticky": {"type": "boolean"}, "misses_preference": {"type": "boolean"}
    }});
    let candidate = object(
        &[
            "model",
            "endpoint",
            "provider_name",
            "place",
            "refused",
            "score",
        ],
        json!({"model": text(), "endpoint": text(), "provider_name": text(), "place": {"type": ["integer", "null"]}, "refused": refused, "score": score}),
    );
    let attempt = object(
        &[
            "model",
            "endpoint",
            "provider_name",
            "status",
            "failure",
            "latency",
        ],
        json!({"model": text(), "endpoint": text(), "provider_name": text(), "status": {"type": ["integer", "null"]}, "failure": text_or_null(), "latency": number()}),
    );
    let price = object(
        &["gross", "discount", "net", "insured"],
        json!({"gross": {"type": "number"}, "discount": {"type": "number"}, "net": {"type": "number"}, "prices": {}, "source": text_or_null(), "insured": {"type": "boolean"}}),
    );
    let data = object(
        &[
            "id",
            "requested",
            "strategy",
            "candidates",
            "attempts",
            "price",
        ],
        json!({
            "id": text(), "requested": text(), "strategy": text_or_null(), "model": text_or_null(),
            "provider_name": text_or_null(), "endpoint": text_or_null(),
            "candidates": {"type": "array", "items": candidate}, "attempts": {"type": "array", "items": attempt}, "price": price
        }),
    );
    object(&["data"], json!({ "data": data }))
}

fn parameters() -> Value {
    let names = json!({"type": "array", "items": reference("/components/schemas/Parameter")});
    let data = object(
        &["model", "supported_parameters"],
        json!({"model": text(), "supported_parameters": names}),
    );
    object(&["data"], json!({ "data": data }))
}
