//! Names of things: generations, keys, accounts, models, providers, endpoints.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(Arc::from(text))
            }
        }

        /// No name.
        impl Default for $name {
            fn default() -> Self {
                $name(Arc::default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A run as the client sees it: `gen-<unix seconds>-<20 alphanumerics>`.
    GenerationId
}
text_id! {
    /// An account that pays: `user_<27 alphanumerics>`.
    AccountId
}
text_id! {
    /// A model: `author/slug`, with its static variant where it has one (`author/slug:free`).
    ModelId
}
text_id! {
    /// A provider's slug, such as `together`.
    ProviderSlug
}
text_id! {
    /// One model at one provider: `provider[/variant][/quantization]`, unique within the model.
    EndpointTag
}

impl GenerationId {
    /// A fresh id for a run that begins at `unix_ms`. Later runs have larger ids, by the milliseconds that their random part
    /// begins with, so that the database writes them side by side; some 100 bits are random.
    pub fn new(unix_ms: i64) -> Self {
        let (seconds, ms) = (unix_ms.div_euclid(1_000), unix_ms.rem_euclid(1_000));
        let mut id = String::with_capacity(40);
        // Writing to a string does not fail.
        let _ = write!(id, "gen-{seconds}-{ms:03}");
        Alphanumeric.append_string(&mut rand::rng(), &mut id, 17);
        GenerationId(id.into())
    }
}

impl AccountId {
    /// A fresh account id.
    pub fn random() -> Self {
        AccountId(format!("user_{}", random_text(27)).into())
    }
}

/// The SHA-256 of a whole key string: the only form in which a key is stored or cached.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key as the client sent it.
    pub fn of(key: &str) -> Self {
        KeyHash(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads the 64 hexadecimal digits that the contract (1.3) calls `hash`.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(KeyHash(bytes))
    }

    /// Reads a hash that was stored as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(KeyHash)
    }

    /// The hash as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lowercase hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.to_hex())
    }
}

/// `length` random letters and digits.
pub fn random_text(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_runs_have_larger_ids() {
        let instants = [
            0,
            999,
            1_000,
            1_788_177_600_005,
            1_788_177_600_040,
            1_788_177_601_000,
        ];
        let ids = instants.map(GenerationId::new);
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids[3].as_str().starts_with("gen-1788177600-005"));
        for id in &ids {
            let random = id.as_str().rsplit('-').next().unwrap_or_default();
            assert_eq!(random.len(), 20);
            assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
}
