//! Who somebody is elsewhere: what an issuer of identities says of them, and the secrets by which its answer is known.

use super::secret::Secret;

/// What an issuer says of somebody. The pair of issuer and subject is theirs for good; an address is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The issuer's address, as it writes it.
    pub issuer: String,
    /// What the issuer calls the person.
    pub subject: String,
    /// The e-mail address it knows.
    pub email: Option<Email>,
}

/// An e-mail address as an issuer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// Whether the issuer made sure that it is the person's.
    pub verified: bool,
}

impl Identity {
    /// The address, if the issuer made sure that it is the person's.
    pub fn verified_address(&self) -> Option<&str> {
        let email = self.email.as_ref().filter(|email| email.verified)?;
        Some(&email.address)
    }
}

/// What ties an issuer's answer to the browser that was sent to it.
#[derive(Clone, Debug)]
pub struct Proofs {
    /// Comes back with the browser.
    pub state: Secret,
    /// Comes back inside the issuer's signed word.
    pub nonce: Secret,
    /// Opens the code (PKCE).
    pub verifier: Secret,
}
