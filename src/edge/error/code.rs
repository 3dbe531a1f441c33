//! The words that name an error for programs, and what each means for people (contract 5.2, 5.4).
//!
//! Errors are made of these words alone, and `/docs/errors` lists them all, so whatever a client is
//! told has an explanation to go with it.

/// Declares an enum of words with their explanations, and the list of all of them.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident { $($variant:ident = $word:literal, $meaning:literal, $remedy:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $meaning] $variant,)*
        }

        impl $name {
            /// Every one there is.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The word, as it stands in error bodies.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// What has happened, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $($name::$variant => $meaning,)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $($name::$variant => $remedy,)* }
            }
        }
    };
}

words! {
    /// Why no endpoint could serve a request: `error.availability.code` (contract 5.4).
    Availability {
        ModelNotFound = "model_not_found", "No model has this id.",
            "Look the id up in the model list; ids are written author/slug.";
        WrongEndpoint = "wrong_endpoint", "The model exists, but does not take calls of this kind.",
            "Send what is to be embedded to /embeddings, what is to be ranked to /rerank, and conversations to /chat/completions.";
        NoEndpoints = "no_endpoints", "The model is known, but no provider that this gateway can use serves it now.",
            "Choose another model, or ask the operator to configure a provider for it.";
        ModelUnavailableUpstream = "model_unavailable_upstream", "Every provider that was asked said that it does not have this model any more.",
            "Choose another model; if it should be there, tell the operator.";
        PrivacyRestricted = "privacy_restricted", "Providers serve the model, but none under the data policy that the request asks for.",
            "Relax provider.data_collection or provider.zdr, or choose another model.";
        ConstraintFiltered = "constraint_filtered", "Providers serve the model, but what the request asks for leaves none of them. excluded_by names the filters.",
            "Relax the named constraint: a price ceiling, a list of providers, a quantization, required parameters or the length of the prompt.";
        CapacityExhausted = "capacity_exhausted", "Every provider of the model refused the request because of its own rate limit.",
            "Try again after the time in Retry-After, or name fallback models.";
        TemporarilyUnavailable = "temporarily_unavailable", "Every provider of the model failed or was too slow.",
            "Try again in a moment, or name fallback models.";
    }
}

words! {
    /// The class of an error: `error.metadata.error_type` (contract 5.2).
    ErrorType {
        InvalidRequest = "invalid_request", "The request is malformed, or a parameter has a value that it cannot have (400).",
            "The message names the parameter; correct it. The same request will fail again.";
        ContextLengthExceeded = "context_length_exceeded", "The conversation, with the answer it asks for, is longer than the model takes (400).",
            "Shorten the conversation, lower max_tokens, or choose a model with a longer context.";
        ContentPolicyViolation = "content_policy_violation", "The provider refused the content (400 or 403).",
            "Change the content, or choose another provider.";
        Authentication = "authentication", "The key is missing, unknown, disabled or expired (401).",
            "Send Authorization: Bearer with a working key.";
        PaymentRequired = "payment_required", "The account's credit does not cover what the request may cost (402).",
            "Add credit, or lower max_tokens: the message says how many tokens the credit is good for.";
        PermissionDenied = "permission_denied", "The key may not do this, or has reached its own limit (403).",
            "Use a key that may, or raise the key's limit. Management keys manage; other keys call models.";
        NotFound = "not_found", "There is no such thing, or no endpoint fits the request (404).",
            "Check the id. error.availability, where present, says why no endpoint fits.";
        Timeout = "timeout", "The provider was too slow (408 or 504).",
            "Try again; a streamed answer shows sooner that it is under way.";
        PreconditionFailed = "precondition_failed", "Something that the request presumes does not hold (412).",
            "Read the thing again and repeat the request.";
        PayloadTooLarge = "payload_too_large", "The body is larger than this gateway takes (413).",
            "Send less at once, such as smaller images.";
        Unprocessable = "unprocessable", "The request is well formed, but the provider cannot make sense of it (422).",
            "The message holds the provider's own words.";
        RateLimitExceeded = "rate_limit_exceeded", "Too many requests: for this gateway's limits, or for every provider's (429).",
            "Wait as long as Retry-After says, and try again.";
        Server = "server", "This gateway made a mistake (500). Nothing was charged.",
            "Try again, and tell the operator if it happens again.";
        ProviderUnavailable = "provider_unavailable", "The provider failed, or its answer could not be used (502). Nothing was charged.",
            "Try again, or name fallback models.";
        ProviderOverloaded = "provider_overloaded", "The providers, or this gateway, are overloaded or away (503).",
            "Try again after the time in Retry-After.";
    }
}

impl ErrorType {
    /// The usual type of a status; some statuses have none.
    pub(super) fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            400 => ErrorType::InvalidRequest,
            401 => ErrorType::Authentication,
            402 => ErrorType::PaymentRequired,
            403 => ErrorType::PermissionDenied,
            404 => ErrorType::NotFound,
            412 => ErrorType::PreconditionFailed,
            413 => ErrorType::PayloadTooLarge,
            422 => ErrorType::Unprocessable,
            429 => ErrorType::RateLimitExceeded,
            500 => ErrorType::Server,
            502 => ErrorType::ProviderUnavailable,
            503 => ErrorType::ProviderOverloaded,
            408 | 504 => ErrorType::Timeout,
            _ => return None,
        })
    }
}
