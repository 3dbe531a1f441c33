//! What the endpoints are asked: one call for all of them, or one that depends on who it is.

use std::borrow::Cow;

use tokio::sync::OnceCell;

use super::failure::Failure;
use super::media::{Files, Inline};
use crate::catalog::snapshot::Endpoint;
use crate::domain::call::Call;
use crate::rank::Candidate;
use crate::transport::Fetcher;
use crate::wire::Wire;

/// Somebody who asks.
pub trait Asks: Sync {
    /// The call for a candidate. Waits where it is yet to be made; where it cannot be made, the candidate fails.
    fn of(&self, candidate: &Candidate)
    -> impl Future<Output = Result<&Asked<'_>, Failure>> + Send;

    /// Whether an answer is still wanted. No further endpoint is asked otherwise.
    fn goes_on(&self) -> bool;
}

/// A call, as it was written and, once an endpoint wants it so, with the files that it names put in.
pub struct Asked<'a> {
    call: Cow<'a, Call>,
    files: &'a Files,
    /// With all of them put in, and with the documents alone. Seldom there, and large.
    inline: [OnceCell<Box<Result<Call, Failure>>>; 2],
}

impl<'a> Asked<'a> {
    /// A call of a request whose files are `files`.
    pub fn new(call: Cow<'a, Call>, files: &'a Files) -> Self {
        Asked {
            call,
            files,
            inline: [OnceCell::new(), OnceCell::new()],
        }
    }

    /// The call as it was written.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The same, for good.
    pub fn into_call(self) -> Call {
        self.call.into_owned()
    }

    /// The call as an endpoint takes it.
    pub(super) async fn by(
        &self,
        endpoint: &Endpoint,
        wire: &dyn Wire,
        fetcher: &Fetcher,
    ) -> Result<&Call, Failure> {
        let quirks = &endpoint.target.quirks;
        let wanted = match (
            wire.fetches_media(),
            quirks.inline_media,
            quirks.inline_files,
        ) {
            (false, _, _) | (_, true, _) => Inline::All,
            (true, false, true) => Inline::Documents,
            (true, false, false) => return Ok(&self.call),
        };
        let [all, documents] = &self.inline;
        let cell = match wanted {
            Inline::All => all,
            Inline::Documents => documents,
        };
        let put_in = || async {
            let inline = self.files.put_into(&self.call, wanted, fetcher);
            Box::new(Box::pin(inline).await)
        };
        let inline = cell.get_or_init(put_in).await;
        (**inline).as_ref().map_err(Failure::clone)
    }
}
