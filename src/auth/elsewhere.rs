//! People who sign in with an account elsewhere: found by the issuer's word for them, never by an address alone.

use super::flow::{Flow, TooLong};
use super::people::{People, PeopleError, SignUp, SignedIn, checked_address, link_hash};
use crate::domain::identity::{Identity, Proofs};
use crate::domain::ids::AccountId;
use crate::store::{Connected, Entrance, Session, StoreError};

/// What an issuer's word about an e-mail address is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressTrust {
    /// An account with the same address is somebody else's until its owner connects the two.
    None,
    /// An address that the issuer has verified is proof enough for the account that has it.
    Verified,
}

impl People {
    /// Begins a sign-in: the note for the browser, and what the answer will be known by.
    pub fn begin_flow(&self, flow: &Flow) -> Result<(String, Proofs), TooLong> {
        Ok((flow.seal(&self.signing)?, flow.proofs(&self.signing)))
    }

    /// The sign-in that a browser's note is of, if the answer with `state` belongs to it.
    pub fn answered_flow(&self, note: &str, state: &str, now: i64) -> Option<(Flow, Proofs)> {
        let flow = Flow::open(&self.signing, note, now)?;
        if !flow.is_answered_by(&self.signing, state) {
            return None;
        }
        let proofs = flow.proofs(&self.signing);
        Some((flow, proofs))
    }

    /// Counts a try to sign in from a network address. Fails when there were too many.
    pub async fn count_try(&self, address: &str, now: i64) -> Result<(), PeopleError> {
        self.count_address(address, now).await
    }

    /// Signs in whom an issuer has identified: into the account that is connected, or into a new one where people may
    /// sign up. Fails as [`PeopleError`] says.
    pub async fn sign_in_with(
        &self,
        identity: &Identity,
        trust: AddressTrust,
        invitation: Option<&str>,
        now: i64,
    ) -> Result<SignedIn, PeopleError> {
        if let Some(account) = self.store.use_identity(identity, now).await? {
            tracing::info!(account = %account.id, issuer = identity.issuer, "signed in with an account elsewhere");
            return Ok(self.begin(account, now).await?);
        }
        let address = identity
            .verified_address()
            .ok_or(PeopleError::Unverified)
            .and_then(checked_address)?;
        if let Some((account, _)) = self.store.sign_in_account(&address).await? {
            if trust == AddressTrust::None {
                return Err(PeopleError::ConnectFirst);
            }
            self.attach(&account.id, identity, now).await?;
            return Ok(self.begin(account, now).await?);
        }
        if self.sign_up_policy() != SignUp::Open && invitation.is_none() {
            return Err(PeopleError::Closed);
        }
        let invitation = invitation.map(link_hash);
        let entrance = Entrance::Identity(identity);
        let made = self
            .store
            .sign_up(&address, entrance, invitation.as_ref(), now)
            .await;
        match made {
            Ok(Some(account)) => {
                tracing::info!(account = %account.id, issuer = identity.issuer, "signed up with an account elsewhere");
                Ok(self.begin(account, now).await?)
            }
            Ok(None) => Err(PeopleError::DeadLink),
            Err(StoreError::Taken(_)) => Err(PeopleError::AddressTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Connects an account elsewhere to the one that is signed in. Its address does not matter: being signed in at both
    /// is the proof. Fails when it is connected to another account.
    pub async fn connect(
        &self,
        session: &Session,
        identity: &Identity,
        now: i64,
    ) -> Result<(), PeopleError> {
        self.attach(&session.account.id, identity, now).await
    }

    /// Disconnects an account elsewhere; answers `None` when it is not connected to this account. Fails when nothing
    /// would be left to sign in with.
    pub async fn disconnect(
        &self,
        account: &AccountId,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<()>, PeopleError> {
        let done = self
            .store
            .disconnect_identity(account, issuer, subject)
            .await?;
        if done {
            tracing::info!(%account, issuer, "an account elsewhere was disconnected");
            return Ok(Some(()));
        }
        let is_this = |known: &Connected| known.issuer == issuer && known.subject == subject;
        let known = self.store.identities(account).await?;
        if known.iter().any(is_this) {
            Err(PeopleError::LastEntrance)
        } else {
            Ok(None)
        }
    }

    async fn attach(
        &self,
        account: &AccountId,
        identity: &Identity,
        now: i64,
    ) -> Result<(), PeopleError> {
        let owner = self.store.connect_identity(account, identity, now).await?;
        if owner != *account {
            return Err(PeopleError::IdentityTaken);
        }
        tracing::info!(%account, issuer = identity.issuer, "an account elsewhere was connected");
        Ok(())
    }
}
