//! People: signing up, in and out, and what their browser's cookie stands for.
//!
//! Knows the store, passwords and signatures; knows no HTTP.

use std::sync::Arc;

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use super::password::{PasswordError, Passwords};
use super::session::{Claims, Signing};
use crate::domain::ids::{AccountId, random_text};
use crate::domain::secret::Secret;
use crate::store::{Account, Entrance, LinkKind, Session, Store, StoreError};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A session ends when it is not used for this long, and in any case after [`LONGEST_SESSION`].
const IDLE_SESSION: i64 = 7 * DAY;
const LONGEST_SESSION: i64 = 30 * DAY;
/// How old a cookie gets before it is renewed.
const RENEW_AFTER: i64 = HOUR;
/// How long the cookie before still works: requests that were under way, answers that were lost.
const RENEWAL_GRACE: i64 = 2 * MINUTE;
/// Tries to sign in per window: for one account, and from one address.
const ATTEMPTS_WINDOW: i64 = 15 * MINUTE;
const ATTEMPTS_PER_ACCOUNT: i64 = 10;
const ATTEMPTS_PER_ADDRESS: i64 = 60;
const PASSWORD_LINK_LIVES: i64 = DAY;
const INVITATION_LIVES: i64 = 7 * DAY;

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Everybody.
    Open,
    /// Who has a link from an admin.
    Invitation,
    /// Nobody; the command line makes accounts.
    Closed,
}

/// Accounts and sessions of people. Cloning it shares all.
#[derive(Clone)]
pub struct People {
    pub(super) store: Store,
    passwords: Passwords,
    pub(super) signing: Arc<Signing>,
    sign_up: SignUp,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session, and whose it is.
    pub session: Session,
    /// The cookie to send, when it is a new one.
    pub cookie: Option<String>,
}

/// Why somebody was not signed in or up, or a password not changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Unknown address or wrong password: which one is not said.
    #[error("The e-mail address or the password is wrong.")]
    Wrong,
    /// Too many tries.
    #[error("Too many tries. Wait {} minutes and try again.", (wait_ms + MINUTE - 1) / MINUTE)]
    TooMany {
        /// Milliseconds until another try is allowed.
        wait_ms: i64,
    },
    /// The address is not one.
    #[error("Enter an e-mail address, such as you@example.com.")]
    BadAddress,
    /// The address is taken.
    #[error("There is an account with this address already. Sign in instead.")]
    AddressTaken,
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Nobody may sign up this way.
    #[error("Signing up is not open here. Ask an admin for an invitation.")]
    Closed,
    /// The link was used or has ended.
    #[error("This link was used already or has expired. Ask an admin for a new one.")]
    DeadLink,
    /// An issuer knows no address of the person, or has not made sure of it.
    #[error("It has not verified your e-mail address, so no account can be made from it.")]
    Unverified,
    /// The address is that of an account which nobody connected.
    #[error(
        "There is an account with this e-mail address already. Sign in to it first, then connect the two on its account page."
    )]
    ConnectFirst,
    /// The account elsewhere is connected to another account here.
    #[error("It is connected to another account here.")]
    IdentityTaken,
    /// Nothing would be left to sign in with.
    #[error(
        "It is the only way into your account. Have an admin send you a link to set a password first."
    )]
    LastEntrance,
    /// The database could not be asked.
    #[error("That did not work. Try again in a moment.")]
    Store(#[from] StoreError),
}

impl People {
    /// Reads the secret that signs cookies, or makes it at the first start.
    pub async fn start(store: Store, sign_up: SignUp, now: i64) -> Result<People, StoreError> {
        let mut proposal = [0_u8; 32];
        rand::rng().fill_bytes(&mut proposal);
        let secret = store.secret("session-signing", &proposal, now).await?;
        Ok(People {
            store,
            passwords: Passwords::default(),
            signing: Arc::new(Signing::new(&secret)),
            sign_up,
        })
    }

    /// Who may sign up.
    pub fn sign_up_policy(&self) -> SignUp {
        self.sign_up
    }

    /// Signs somebody in from a network address, and answers a fresh session. Fails as [`PeopleError`] says.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &Secret,
        address: &str,
        now: i64,
    ) -> Result<SignedIn, PeopleError> {
        let email = email.trim().to_lowercase();
        let account_subject = self.signing.derive("attempts of an account", &email);
        self.count_address(address, now).await?;
        self.count(&account_subject, ATTEMPTS_PER_ACCOUNT, now)
            .await?;
        let (account, hash) = match self.store.sign_in_account(&email).await? {
            Some((account, hash)) => (Some(account), hash),
            None => (None, None),
        };
        let right = self.passwords.matches(password, hash).await;
        match account {
            Some(account) if right => {
                self.store.forget_attempts(&account_subject).await?;
                Ok(self.begin(account, now).await?)
            }
            _ => Err(PeopleError::Wrong),
        }
    }

    /// Makes an account, with the secret of an invitation where one is needed, and signs it in.
    pub async fn sign_up(
        &self,
        email: &str,
        password: &Secret,
        invitation: Option<&str>,
        address: &str,
        now: i64,
    ) -> Result<SignedIn, PeopleError> {
        if self.sign_up != SignUp::Open && invitation.is_none() {
            return Err(PeopleError::Closed);
        }
        let email = checked_address(email)?;
        self.count_address(address, now).await?;
        let hash = self.passwords.hash(password).await?;
        let invitation = invitation.map(link_hash);
        let made = self
            .store
            .sign_up(&email, Entrance::Password(&hash), invitation.as_ref(), now)
            .await;
        match made {
            Ok(Some(account)) => Ok(self.begin(account, now).await?),
            Ok(None) => Err(PeopleError::DeadLink),
            Err(StoreError::Taken(_)) => Err(PeopleError::AddressTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Whose cookie this is; `None` when it is nobody's. Renews it when it is old, and ends a session
    /// whose cookie turns up again after it was replaced.
    pub async fn session(&self, cookie: &str, now: i64) -> Result<Option<SignedIn>, StoreError> {
        let Some(claims) = self.signing.read(cookie, now) else {
            return Ok(None);
        };
        let Some(mut session) = self.store.session(&claims.sid, now).await? else {
            return Ok(None);
        };
        let age = now - session.renewed_at;
        let behind = session.number - claims.num;
        if behind == 1 && age <= RENEWAL_GRACE {
            let cookie = Some(self.cookie(&session));
            return Ok(Some(SignedIn { session, cookie }));
        }
        if behind != 0 || session.account.id.as_str() != claims.sub {
            tracing::warn!(account = %session.account.id, "a session's old cookie was used again: the session is ended");
            self.store
                .end_session(&session.account.id, &session.id)
                .await?;
            return Ok(None);
        }
        if age <= RENEW_AFTER {
            return Ok(Some(SignedIn {
                session,
                cookie: None,
            }));
        }
        let expires_at = (now + IDLE_SESSION).min(session.created_at + LONGEST_SESSION);
        let renewed = self
            .store
            .renew_session(&session.id, session.number, now, expires_at)
            .await?;
        // Another request of the same browser was quicker and carries the new cookie.
        let cookie = renewed.then(|| {
            session.number += 1;
            (session.renewed_at, session.expires_at) = (now, expires_at);
            self.cookie(&session)
        });
        Ok(Some(SignedIn { session, cookie }))
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session) -> Result<(), StoreError> {
        self.store
            .end_session(&session.account.id, &session.id)
            .await
    }

    /// Ends every session of an account.
    pub async fn sign_out_everywhere(&self, account: &AccountId) -> Result<(), StoreError> {
        self.store.end_sessions(account).await
    }

    /// Changes the password of who knows the current one, ends every session and begins a new one.
    pub async fn change_password(
        &self,
        session: &Session,
        current: &Secret,
        new: &Secret,
        now: i64,
    ) -> Result<SignedIn, PeopleError> {
        let account = &session.account;
        let subject = self
            .signing
            .derive("attempts of an account", &account.email.to_lowercase());
        self.count(&subject, ATTEMPTS_PER_ACCOUNT, now).await?;
        let hash = self.store.password_hash(&account.id).await?;
        if !self.passwords.matches(current, hash).await {
            return Err(PeopleError::Wrong);
        }
        let hash = self.passwords.hash(new).await?;
        self.store.set_password(&account.id, &hash, None).await?;
        self.store.forget_attempts(&subject).await?;
        Ok(self.begin(account.clone(), now).await?)
    }

    /// Sets an account's password without asking for the current one, and ends its sessions: for the
    /// command line.
    pub async fn set_password(
        &self,
        account: &AccountId,
        password: &Secret,
    ) -> Result<(), PeopleError> {
        let hash = self.passwords.hash(password).await?;
        Ok(self.store.set_password(account, &hash, None).await?)
    }

    /// The secret of a fresh link with which an account's password can be set, once, within a day.
    pub async fn password_link(&self, account: &AccountId, now: i64) -> Result<Secret, StoreError> {
        let ends = now + PASSWORD_LINK_LIVES;
        self.link(LinkKind::Password, Some(account), now, ends)
            .await
    }

    /// The secret of a fresh link with which somebody can sign up, once, within a week.
    pub async fn invitation(&self, now: i64) -> Result<Secret, StoreError> {
        self.link(LinkKind::Invitation, None, now, now + INVITATION_LIVES)
            .await
    }

    /// Whether a link would work.
    pub async fn link_works(
        &self,
        secret: &str,
        kind: LinkKind,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.store.link_works(&link_hash(secret), kind, now).await
    }

    /// Sets the password that a link is for, and signs its account in.
    pub async fn use_password_link(
        &self,
        secret: &str,
        password: &Secret,
        now: i64,
    ) -> Result<SignedIn, PeopleError> {
        let link = link_hash(secret);
        if !self
            .store
            .link_works(&link, LinkKind::Password, now)
            .await?
        {
            return Err(PeopleError::DeadLink);
        }
        let hash = self.passwords.hash(password).await?;
        let account = self
            .store
            .set_password_by_link(&link, &hash, now)
            .await?
            .ok_or(PeopleError::DeadLink)?;
        let account = self
            .store
            .account(&account)
            .await?
            .ok_or(PeopleError::DeadLink)?;
        Ok(self.begin(account, now).await?)
    }

    /// The token that the forms of a session, or of a visitor without one, carry.
    pub fn form_token(&self, subject: &str) -> String {
        hex::encode(self.signing.derive("form", subject))
    }

    /// Whether a form carries the token of [`People::form_token`].
    pub fn is_form_token(&self, subject: &str, token: &str) -> bool {
        self.signing.is_derived("form", subject, token)
    }

    pub(super) async fn begin(&self, account: Account, now: i64) -> Result<SignedIn, StoreError> {
        // A fresh name each time: one that was planted in a browser before is worth nothing.
        let id = random_text(32);
        let expires_at = now + IDLE_SESSION;
        self.store
            .begin_session(&id, &account.id, now, expires_at)
            .await?;
        let session = Session {
            id,
            account,
            number: 0,
            renewed_at: now,
            created_at: now,
            expires_at,
        };
        let cookie = Some(self.cookie(&session));
        Ok(SignedIn { session, cookie })
    }

    fn cookie(&self, session: &Session) -> String {
        self.signing.sign(&Claims {
            sid: session.id.clone(),
            sub: session.account.id.to_string(),
            num: session.number,
            exp: session.expires_at / 1_000,
        })
    }

    async fn link(
        &self,
        kind: LinkKind,
        account: Option<&AccountId>,
        now: i64,
        expires_at: i64,
    ) -> Result<Secret, StoreError> {
        let secret = random_text(43);
        self.store
            .create_link(&link_hash(&secret), kind, account, now, expires_at)
            .await?;
        Ok(Secret::new(&secret))
    }

    pub(super) async fn count_address(&self, address: &str, now: i64) -> Result<(), PeopleError> {
        let subject = self.signing.derive("attempts from an address", address);
        self.count(&subject, ATTEMPTS_PER_ADDRESS, now).await
    }

    /// Counts the try before it is made, so that many at once do not slip through.
    async fn count(&self, subject: &[u8; 32], most: i64, now: i64) -> Result<(), PeopleError> {
        let (attempts, since) = self
            .store
            .count_attempt(subject, now, ATTEMPTS_WINDOW)
            .await?;
        if attempts > most {
            let wait_ms = (since + ATTEMPTS_WINDOW - now).max(MINUTE);
            return Err(PeopleError::TooMany { wait_ms });
        }
        Ok(())
    }
}

pub(super) fn link_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// An address in the form in which it is stored. Whether it exists, only a letter to it could tell.
pub fn checked_address(email: &str) -> Result<String, PeopleError> {
    let email = email.trim().to_lowercase();
    let plausible = email.len() <= 254
        && !email
            .chars()
            .any(|character| character.is_whitespace() || character.is_control())
        && email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
    if plausible {
        Ok(email)
    } else {
        Err(PeopleError::BadAddress)
    }
}
