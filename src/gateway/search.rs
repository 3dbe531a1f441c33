//! What the endpoints of a run are asked: its call, and for the models that want it with what was found on the web.
//! It is searched when the first of those comes up, once, and charged once, whoever answers in the end.

use std::borrow::Cow;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::record::Run;
use crate::attempt::Files;
use crate::attempt::asked::{Asked, Asks};
use crate::attempt::failure::Failure;
use crate::clock::now_ms;
use crate::domain::call::Call;
use crate::domain::ids::{GenerationId, random_text};
use crate::domain::search::{Searched, Wish};
use crate::plan::estimate::Prompt;
use crate::plugin::web::tool::{self, Offer};
use crate::plugin::web::{
    EngineSettings, Errand, Errands, Found, SearchError, WebSearch, native, query, quote,
};
use crate::rank::Candidate;
use crate::stream::citations::Citations;

/// The letters of a quotation's mark: more than a page can guess.
pub(super) const MARK: usize = 24;

/// Asks a run's call, and does its errands on the way.
pub(super) struct Asking<'a> {
    web: &'a WebSearch,
    id: &'a GenerationId,
    errands: &'a Errands,
    files: &'a Files,
    call: &'a Call,
    plain: Asked<'a>,
    online: OnceCell<Result<Box<Prepared<'a>>, SearchError>>,
    others: OnceCell<Result<Box<Prepared<'a>>, SearchError>>,
    left: CancellationToken,
}

/// The call after an errand.
struct Prepared<'a> {
    asked: Asked<'a>,
    /// What an engine found for it.
    found: Option<Found>,
}

/// What was asked in the end, and what came of it.
#[derive(Default)]
pub(super) struct Answered {
    /// The call that was answered, where it is another one than the run's.
    call: Option<Call>,
    searched: Option<Searched>,
    citations: Option<Citations>,
    /// Why an endpoint could not be asked.
    pub(super) error: Option<SearchError>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        web: &'a WebSearch,
        run: &'a Run,
        errands: &'a Errands,
        files: &'a Files,
    ) -> Self {
        Asking {
            web,
            id: &run.id,
            errands,
            files,
            call: &run.call,
            plain: Asked::new(Cow::Borrowed(&run.call), files),
            online: OnceCell::new(),
            others: OnceCell::new(),
            left: CancellationToken::new(),
        }
    }

    /// The caller is gone: no further search, and no further endpoint.
    pub(super) fn leave(&self) {
        self.left.cancel();
    }

    /// What is left of it, once an endpoint answered or none did.
    pub(super) fn over(self, answered: Option<&Candidate>) -> Answered {
        let by_online = answered.map(|candidate| candidate.online);
        let mut over = Answered::default();
        for (cell, is_online) in [(self.online, true), (self.others, false)] {
            match cell.into_inner() {
                None => {}
                Some(Err(error)) => over.error = Some(error),
                Some(Ok(prepared)) => {
                    let Prepared { asked, found } = *prepared;
                    let (sources, searched) =
                        found.map(|found| (found.sources, found.searched)).unzip();
                    over.searched = over.searched.or(searched);
                    if by_online == Some(is_online) {
                        over.call = Some(asked.into_call());
                        over.citations = sources.and_then(Citations::of);
                    }
                }
            }
        }
        over
    }

    async fn prepared(&self, errand: &Errand) -> Result<Box<Prepared<'a>>, SearchError> {
        let mut found = None;
        let call = match errand {
            Errand::Tool(..) => tool::offered(self.call, Offer::Given),
            Errand::Provider(wish) | Errand::AsWritten(wish) => {
                tool::offered(self.call, Offer::Gone).and_then(|call| native::asked(&call, wish))
            }
            Errand::Engine(engine, wish) => {
                let found = found.insert(self.found(engine, wish).await?);
                tool::offered(self.call, Offer::Gone).and_then(|call| {
                    quote::attached(&call, wish, &found.sources, now_ms(), &random_text(MARK))
                })
            }
        };
        let call = call.map_err(|error| SearchError::Malformed(error.to_string()))?;
        let call = match errand {
            Errand::AsWritten(_) => call,
            // It is not as its client wrote it any more.
            _ => call.rewritten(),
        };
        let asked = Asked::new(Cow::Owned(call), self.files);
        Ok(Box::new(Prepared { asked, found }))
    }

    /// What an engine finds; nothing where there is nothing to ask, or where the search fails and may.
    async fn found(&self, engine: &EngineSettings, wish: &Wish) -> Result<Found, SearchError> {
        let Some(query) = query::of(self.call) else {
            return Ok(Found::nothing(engine, "no_question"));
        };
        match self.web.search(engine, wish, &query).await {
            Ok(sources) => Ok(Found::well(engine, wish, sources)),
            Err(error) => {
                tracing::warn!(generation.id = %self.id, search.engine = %engine.engine, %error, "a web search failed");
                if self.web.fails_with_its_search() {
                    return Err(error);
                }
                Ok(Found::nothing(engine, error.word()))
            }
        }
    }
}

impl Asks for Asking<'_> {
    async fn of(&self, candidate: &Candidate) -> Result<&Asked<'_>, Failure> {
        let Some(errand) = self.errands.of(candidate) else {
            return Ok(&self.plain);
        };
        let cell = if candidate.online {
            &self.online
        } else {
            &self.others
        };
        let prepared = tokio::select! {
            // Large, and no part of a run without an errand.
            prepared = cell.get_or_init(|| Box::pin(self.prepared(errand))) => prepared,
            () = self.left.cancelled() => return Err(Failure::Unsearched),
        };
        let prepared = prepared.as_ref().map_err(|_| Failure::Unsearched)?;
        Ok(&prepared.asked)
    }

    fn goes_on(&self) -> bool {
        !self.left.is_cancelled()
    }
}

impl Run {
    /// Notes what was asked, and what was searched for it.
    pub(super) fn asked(&mut self, answered: Answered) {
        let Answered {
            call,
            searched,
            citations,
            error: _,
        } = answered;
        self.search = searched;
        self.citations = citations;
        if let Some(call) = call {
            self.goes_on_with(call);
        }
    }

    /// The call as it is sent from here on, which is what the usage will be of.
    pub(super) fn goes_on_with(&mut self, call: Call) {
        self.call = call;
        self.planned.prompt = Prompt::of(&self.call);
    }
}
