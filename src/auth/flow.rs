//! A sign-in that is under way at an issuer: what the browser carries meanwhile, and what the answer is known by.
//!
//! The browser carries a sealed note for a few minutes. The secrets that tie the issuer's answer to it are derived from
//! the note's name and never leave the server with it, so that nothing has to be stored. Knows no HTTP and no clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::session::Signing;
use crate::domain::identity::Proofs;
use crate::domain::ids::{AccountId, random_text};
use crate::domain::secret::Secret;

/// How long somebody may take at the issuer, in milliseconds.
pub const FLOW_LIVES: i64 = 10 * 60_000;
/// Browsers drop a cookie of more than four kilobytes, its name and attributes included.
const LONGEST_NOTE: usize = 3_900;

const SEAL: &str = "sign-in under way";

/// A sign-in that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Its name.
    id: String,
    /// Our word for the issuer.
    pub issuer: String,
    /// The page to go to afterwards.
    pub next: String,
    /// The invitation to sign up with; empty for none.
    pub invitation: String,
    /// The account that the identity is to be connected to; without one, it is to be signed in.
    pub account: Option<AccountId>,
    /// When it ends, Unix milliseconds.
    ends: i64,
}

/// A note that no browser would carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address to go back to is too long")]
pub struct TooLong;

impl Flow {
    /// A new one.
    pub fn new(issuer: &str, account: Option<AccountId>, now: i64) -> Self {
        Flow {
            id: random_text(32),
            issuer: issuer.to_owned(),
            next: String::new(),
            invitation: String::new(),
            account,
            ends: now + FLOW_LIVES,
        }
    }

    /// The note for the browser. Fails when the way back is too long to be carried.
    pub(super) fn seal(&self, signing: &Signing) -> Result<String, TooLong> {
        let text = serde_json::to_vec(self).map_err(|_| TooLong)?;
        let text = URL_SAFE_NO_PAD.encode(text);
        let seal = hex::encode(signing.derive(SEAL, &text));
        let note = format!("{text}.{seal}");
        if note.len() > LONGEST_NOTE {
            return Err(TooLong);
        }
        Ok(note)
    }

    /// What a note says, if we sealed it and its time has not passed.
    pub(super) fn open(signing: &Signing, note: &str, now: i64) -> Option<Flow> {
        let (text, seal) = note.split_once('.')?;
        if !signing.is_derived(SEAL, text, seal) {
            return None;
        }
        let flow: Flow = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (now < flow.ends).then_some(flow)
    }

    /// What the issuer's answer is known by.
    pub(super) fn proofs(&self, signing: &Signing) -> Proofs {
        let secret =
            |purpose: &str| Secret::verbatim(&hex::encode(signing.derive(purpose, &self.id)));
        Proofs {
            state: secret(STATE),
            nonce: secret("sign-in nonce"),
            verifier: secret("sign-in verifier"),
        }
    }

    /// Whether an answer that came with `state` belongs to this.
    pub(super) fn is_answered_by(&self, signing: &Signing, state: &str) -> bool {
        signing.is_derived(STATE, &self.id, state)
    }
}

const STATE: &str = "sign-in state";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_until_it_ends_and_only_as_it_was_sealed() {
        let signing = Signing::new(b"secret");
        let flow = Flow::new("google", None, 1_000);
        let note = flow.seal(&signing).unwrap();
        let open = |note: &str, now: i64| Flow::open(&signing, note, now);
        assert_eq!(open(&note, 1_000 + FLOW_LIVES - 1).as_ref(), Some(&flow));
        assert_eq!(open(&note, 1_000 + FLOW_LIVES), None);
        let (text, seal) = note.split_once('.').unwrap();
        let other = Flow::new("other", None, 1_000).seal(&signing).unwrap();
        let (other, _) = other.split_once('.').unwrap();
        for forged in [
            "",
            ".",
            text,
            &format!("{text}."),
            &format!("{other}.{seal}"),
            &format!("{text}.{}", "00".repeat(32)),
            &Flow::new("google", None, 1_000)
                .seal(&Signing::new(b"another"))
                .unwrap(),
        ] {
            assert_eq!(open(forged, 1_000), None, "{forged}");
        }
    }

    #[test]
    fn an_answer_belongs_to_one_flow() {
        let signing = Signing::new(b"secret");
        let (one, other) = (Flow::new("a", None, 0), Flow::new("a", None, 0));
        let proofs = one.proofs(&signing);
        assert!(one.is_answered_by(&signing, proofs.state.expose()));
        assert!(!other.is_answered_by(&signing, proofs.state.expose()));
        assert!(!one.is_answered_by(&signing, proofs.nonce.expose()));
        assert!(!one.is_answered_by(&signing, ""));
        let verifier = proofs.verifier.expose();
        assert!((43..=128).contains(&verifier.len()), "RFC 7636, 4.1");
    }

    #[test]
    fn a_way_back_that_no_cookie_holds_is_refused() {
        let signing = Signing::new(b"secret");
        let mut flow = Flow::new("google", None, 0);
        flow.next = "/".repeat(2_500);
        assert!(flow.seal(&signing).is_ok());
        flow.next = "/".repeat(3_000);
        assert_eq!(flow.seal(&signing), Err(TooLong));
    }
}
