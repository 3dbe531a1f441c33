//! What an operator says of an issuer.

use crate::auth::AddressTrust;
use crate::domain::secret::Secret;

/// An issuer with whose accounts people may sign in.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Our word for it, which stands in the address that browsers come back to.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Its address, exactly as it writes it.
    pub url: String,
    /// What it calls us.
    pub client_id: String,
    /// What proves that it is us; a public client has none.
    pub client_secret: Option<Secret>,
    /// What it is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// What its word about an e-mail address is worth.
    pub trust: AddressTrust,
}
