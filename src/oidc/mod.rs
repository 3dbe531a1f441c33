//! Signing in with an account elsewhere: OpenID Connect's code flow with PKCE, as the side that relies on an issuer.
//!
//! What an issuer is and which keys it signs with is found from its address, and kept for an hour. Knows no account of
//! ours, no cookie and no page: it sends a browser away with secrets that are passed in, and makes an
//! [`Identity`] of what comes back, or says why not. No error holds a token, a secret or an address of a person.

mod dial;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims,
    CoreIdTokenVerifier, CoreJwsSigningAlgorithm as Algorithm, CoreProviderMetadata,
    CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _, UserInfoError,
};
use url::Url;

pub use settings::IssuerSettings;

use crate::domain::identity::{Email, Identity, Proofs};
use crate::transport::Transport;
use dial::{DialError, Dialer};

/// How long is believed what an issuer said of itself.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// Signatures that only the issuer can make. Those by a shared secret are not among them: whoever knows the secret
/// could be anybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// The issuers with whose accounts people may sign in. Cloning shares what is known of them.
#[derive(Clone)]
pub struct Issuers {
    settings: Arc<[IssuerSettings]>,
    transport: Transport,
    /// By our word for the issuer. Many who ask at once wait for one answer.
    known: Cache<String, Arc<CoreProviderMetadata>>,
}

/// Why an issuer could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// It does not answer, or not as an issuer does.
    #[error("it cannot be used: {0}")]
    Away(String),
    /// It answered, and what it said is no proof of who somebody is.
    #[error("it gave no proof: {0}")]
    NoProof(&'static str),
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Issuers {
    /// Reaches the issuers through the dialer, at first when somebody wants to sign in.
    pub fn new(transport: Transport, settings: &[IssuerSettings]) -> Self {
        Issuers {
            settings: settings.into(),
            transport,
            known: Cache::builder().time_to_live(KNOWN_FOR).build(),
        }
    }

    /// Every issuer, in the order of the configuration.
    pub fn all(&self) -> &[IssuerSettings] {
        &self.settings
    }

    /// The issuer of this slug.
    pub fn named(&self, slug: &str) -> Option<&IssuerSettings> {
        self.settings.iter().find(|issuer| issuer.slug == slug)
    }

    /// What people call the issuer with this address: its name, or its host when it is no longer configured.
    pub fn name_of(&self, address: &str) -> String {
        let configured = self.settings.iter().find(|issuer| issuer.url == address);
        configured.map_or_else(
            || {
                let host = Url::parse(address).ok();
                let host = host.as_ref().and_then(|url| url.host_str());
                host.unwrap_or(address).to_owned()
            },
            |issuer| issuer.name.clone(),
        )
    }

    /// Where to send a browser that wants to sign in; it comes back to `callback`.
    pub async fn address(
        &self,
        issuer: &IssuerSettings,
        proofs: &Proofs,
        callback: &str,
    ) -> Result<Url, IssuerError> {
        let client = client(issuer, &*self.metadata(issuer).await?, callback)?;
        let (state, nonce) = (proofs.state.clone(), proofs.nonce.clone());
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || CsrfToken::new(state.expose().to_owned()),
            move || Nonce::new(nonce.expose().to_owned()),
        );
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(proofs));
        let scopes = issuer.scopes.iter().cloned().map(Scope::new);
        let (url, _, _) = request
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        Ok(url)
    }

    /// Who came back with `code`. The issuer's word must be signed by it, meant for us, of now and of this very sign-in.
    pub async fn identity(
        &self,
        issuer: &IssuerSettings,
        code: &str,
        proofs: &Proofs,
        callback: &str,
    ) -> Result<Identity, IssuerError> {
        let dial = self.dialer(issuer);
        let dial = |request| dial.call(request);
        let mut client = client(issuer, &*self.metadata(issuer).await?, callback)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| IssuerError::Away("it names no token endpoint".to_owned()))?
            .set_pkce_verifier(verifier(proofs))
            .request_async(&dial)
            .await
            .map_err(refused)?;
        let token = tokens
            .id_token()
            .ok_or(IssuerError::NoProof("there is no id token"))?;
        let nonce = Nonce::new(proofs.nonce.expose().to_owned());
        let mut claims = token.claims(&strict(&client), &nonce);
        if let Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        )) = claims
        {
            // Issuers change their keys; what we know may be of before.
            self.known.invalidate(&issuer.slug).await;
            client = self::client(issuer, &*self.metadata(issuer).await?, callback)?;
            claims = token.claims(&strict(&client), &nonce);
        }
        let claims = claims.map_err(|error| IssuerError::NoProof(reason(&error)))?;
        check_access_token(&client, token, claims, tokens.access_token())?;
        let email = match claims.email() {
            Some(address) => Some(Email {
                address: address.to_string(),
                verified: claims.email_verified() == Some(true),
            }),
            // Some issuers keep the address out of the token, and tell it where the person is described.
            None if client.user_info_url().is_some() => {
                let asked = client.user_info(
                    tokens.access_token().clone(),
                    Some(claims.subject().clone()),
                );
                let asked = asked.map_err(|_| IssuerError::NoProof("there is no user info"))?;
                let told: CoreUserInfoClaims = asked.request_async(&dial).await.map_err(untold)?;
                told.email().map(|address| Email {
                    address: address.to_string(),
                    verified: told.email_verified() == Some(true),
                })
            }
            None => None,
        };
        Ok(Identity {
            issuer: issuer.url.clone(),
            subject: claims.subject().to_string(),
            email,
        })
    }

    /// What the issuer says of itself, with its keys.
    async fn metadata(
        &self,
        issuer: &IssuerSettings,
    ) -> Result<Arc<CoreProviderMetadata>, IssuerError> {
        let found = async {
            let dial = self.dialer(issuer);
            let dial = |request| dial.call(request);
            let url = IssuerUrl::new(issuer.url.clone())
                .map_err(|_| IssuerError::Away("its address is no URL".to_owned()))?;
            let metadata = CoreProviderMetadata::discover_async(url, &dial).await;
            metadata.map(Arc::new).map_err(undiscovered)
        };
        let known = self.known.try_get_with(issuer.slug.clone(), found).await;
        known.map_err(|error| IssuerError::clone(&error))
    }

    fn dialer(&self, issuer: &IssuerSettings) -> Dialer {
        Dialer::new(self.transport.clone(), &issuer.slug)
    }
}

fn client(
    issuer: &IssuerSettings,
    metadata: &CoreProviderMetadata,
    callback: &str,
) -> Result<Client, IssuerError> {
    let secret = issuer.client_secret.as_ref();
    let secret = secret.map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let callback = RedirectUrl::new(callback.to_owned())
        .map_err(|_| IssuerError::Away("we do not know our own address".to_owned()))?;
    let id = ClientId::new(issuer.client_id.clone());
    let client =
        CoreClient::from_provider_metadata(metadata.clone(), id, secret).set_redirect_uri(callback);
    // What is used when an issuer does not say is the header (Discovery 1.0, 3).
    let takes = metadata.token_endpoint_auth_methods_supported();
    let only_in_body = takes.is_some_and(|methods| {
        methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
    });
    Ok(if only_in_body {
        client.set_auth_type(AuthType::RequestBody)
    } else {
        client
    })
}

fn strict(client: &Client) -> CoreIdTokenVerifier<'_> {
    client.id_token_verifier().set_allowed_algs(ALGORITHMS)
}

/// Where the token says which access token came with it, it must be this one.
fn check_access_token(
    client: &Client,
    token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    access_token: &AccessToken,
) -> Result<(), IssuerError> {
    let Some(expected) = claims.access_token_hash() else {
        return Ok(());
    };
    let unusable = IssuerError::NoProof("its access token cannot be checked");
    let algorithm = token.signing_alg().map_err(|_| unusable.clone())?;
    let verifier = strict(client);
    let key = token.signing_key(&verifier).map_err(|_| unusable.clone())?;
    let actual = AccessTokenHash::from_token(access_token, algorithm, key).map_err(|_| unusable)?;
    if actual == *expected {
        Ok(())
    } else {
        Err(IssuerError::NoProof("its access token is another"))
    }
}

fn verifier(proofs: &Proofs) -> PkceCodeVerifier {
    PkceCodeVerifier::new(proofs.verifier.expose().to_owned())
}

fn undiscovered(error: DiscoveryError<DialError>) -> IssuerError {
    IssuerError::Away(match error {
        DiscoveryError::Request(error) => error.to_string(),
        DiscoveryError::Response(status, ..) => {
            format!("it answered {status} where issuers describe themselves")
        }
        DiscoveryError::Parse(error) => format!("it describes itself wrongly: {error}"),
        DiscoveryError::Validation(reason) => format!("it describes itself as another: {reason}"),
        _ => "it does not describe itself".to_owned(),
    })
}

/// The issuer's own words are left out: they may quote what they complain about.
fn refused<R: openidconnect::ErrorResponse>(error: RequestTokenError<DialError, R>) -> IssuerError {
    match error {
        RequestTokenError::Request(error) => IssuerError::Away(error.to_string()),
        RequestTokenError::ServerResponse(_) => IssuerError::NoProof("it refused the code"),
        RequestTokenError::Parse(..) => IssuerError::NoProof("its answer cannot be read"),
        RequestTokenError::Other(_) => IssuerError::NoProof("its answer is odd"),
    }
}

fn untold(error: UserInfoError<DialError>) -> IssuerError {
    match error {
        UserInfoError::Request(error) => IssuerError::Away(error.to_string()),
        UserInfoError::ClaimsVerification(_) => {
            IssuerError::NoProof("its user info is of somebody else")
        }
        _ => IssuerError::NoProof("its user info cannot be read"),
    }
}

fn reason(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "the token has expired",
        ClaimsVerificationError::InvalidAudience(_) => "the token is meant for somebody else",
        ClaimsVerificationError::InvalidIssuer(_) => "the token is another issuer's",
        ClaimsVerificationError::InvalidNonce(_) => "the token is of another sign-in",
        ClaimsVerificationError::SignatureVerification(_) => "the token is not signed by it",
        _ => "the token cannot be used",
    }
}
