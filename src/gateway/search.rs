//! The web search before the first attempt: made once, and charged once, whoever answers in the end.

use super::record::Run;
use super::{Gateway, Refused};
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::domain::ids::random_text;
use crate::domain::json::JsonError;
use crate::domain::search::Wish;
use crate::plan::estimate::Prompt;
use crate::plugin::web::tool::{self, Offer};
use crate::plugin::web::{EngineSettings, Errand, Found, SearchError, native, query, quote};
use crate::stream::citations::Citations;
use crate::stream::client::{Client, Left};

/// The letters of a quotation's mark: more than a page can guess.
pub(super) const MARK: usize = 24;

impl Gateway {
    /// Does a run's errand: what the attempts send is the run's call from then on. Fails where the operator wants a
    /// request to fail with its search; a caller who leaves ends it.
    pub(super) async fn search(
        &self,
        run: &mut Run,
        client: &mut Client<Refused>,
        errand: Option<Errand>,
    ) -> Result<Result<(), SearchError>, Left> {
        let call = match errand {
            None => return Ok(Ok(())),
            Some(Errand::Tool(..)) => tool::offered(&run.call, Offer::Given),
            Some(Errand::Provider(wish)) => left_to_provider(&run.call, &wish),
            Some(Errand::AsWritten(wish)) => {
                let call = left_to_provider(&run.call, &wish);
                return Ok(call.map(|call| run.call = call).map_err(malformed));
            }
            Some(Errand::Engine(engine, wish)) => {
                let found = client.unless_left(self.found(run, &engine, &wish)).await?;
                match found {
                    Ok(found) => run.searched(found, &wish),
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        Ok(call.map(|call| run.goes_on_with(call)).map_err(malformed))
    }

    /// What an engine finds; nothing where there is nothing to ask, or where the search fails and may.
    async fn found(
        &self,
        run: &Run,
        engine: &EngineSettings,
        wish: &Wish,
    ) -> Result<Found, SearchError> {
        let Some(query) = query::of(&run.call) else {
            return Ok(Found::nothing(engine, "no_question"));
        };
        match self.web.search(engine, wish, &query).await {
            Ok(sources) => Ok(Found::well(engine, wish, sources)),
            Err(error) => {
                tracing::warn!(generation.id = %run.id, search.engine = %engine.engine, %error, "a web search failed");
                if self.web.fails_with_its_search() {
                    return Err(error);
                }
                Ok(Found::nothing(engine, error.word()))
            }
        }
    }
}

/// The call without the gateway's tool, and with the wish for those who search themselves.
fn left_to_provider(call: &Call, wish: &Wish) -> Result<Call, JsonError> {
    let call = tool::offered(call, Offer::Gone)?;
    native::asked(&call, wish)
}

fn malformed(error: JsonError) -> SearchError {
    SearchError::Malformed(error.to_string())
}

impl Run {
    /// Notes what was found, and answers the call with it.
    fn searched(&mut self, found: Found, wish: &Wish) -> Result<Call, JsonError> {
        let Found { sources, searched } = found;
        self.search = Some(searched);
        let call = tool::offered(&self.call, Offer::Gone)?;
        let call = quote::attached(&call, wish, &sources, now_ms(), &random_text(MARK))?;
        self.citations = Citations::of(sources);
        Ok(call)
    }

    /// The call as the attempts send it, which is what the usage will be of. It is not as its client wrote it any more.
    pub(super) fn goes_on_with(&mut self, call: Call) {
        self.call = call.rewritten();
        self.planned.prompt = Prompt::of(&self.call);
    }
}
