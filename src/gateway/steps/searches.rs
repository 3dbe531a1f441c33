//! What a model is told that calls the search tool: results, or why there are none.

use super::super::search::MARK;
use crate::domain::ids::{GenerationId, random_text};
use crate::domain::json::JsonText;
use crate::domain::search::{SearchTool, Searched, Source, Wish};
use crate::plugin::web::tool;
use crate::plugin::web::{EngineSettings, WebSearch, quote};
use crate::stream::turn::Asked;

/// What a model is told instead of results.
const NO_QUERY: &str = "The call has no query.";
const NO_MORE: &str = "No more searches are allowed for this request. Answer with what is known.";
const FAILED: &str = "The search failed. Answer without it, and say so.";
const NOTHING: &str = "Nothing was found.";

/// The searches of one run.
pub(super) struct Searches<'a> {
    web: &'a WebSearch,
    id: GenerationId,
    engine: EngineSettings,
    tool: SearchTool,
    uses: u64,
    /// Steps that called the tool: a call that cannot be done is one too, or there would be no end of them.
    rounds: u64,
    /// The pages that the answer may cite.
    sources: Vec<Source>,
    searched: Searched,
}

impl<'a> Searches<'a> {
    /// None yet, of the engine and on the terms of `tool`.
    pub(super) fn new(
        web: &'a WebSearch,
        id: GenerationId,
        (engine, tool): (EngineSettings, SearchTool),
    ) -> Self {
        let searched = Searched {
            engine: engine.engine.as_str().to_owned(),
            by_the_model: true,
            ..Searched::default()
        };
        Searches {
            web,
            id,
            engine,
            tool,
            uses: 0,
            rounds: 0,
            sources: Vec::new(),
            searched,
        }
    }

    /// What they have been so far.
    pub(super) fn searched(&self) -> &Searched {
        &self.searched
    }

    /// The searches for the records, where the model wanted any, and the pages that were found.
    pub(super) fn over(self) -> (Option<Searched>, Vec<Source>) {
        let searched = Some(self.searched).filter(|searched| searched.requested > 0);
        (searched, self.sources)
    }

    /// Notes calls of a step, whatever becomes of them.
    pub(super) fn requested(&mut self, calls: u64) {
        self.searched.requested += calls;
    }

    /// Whether the model may call the tool no more.
    pub(super) fn are_spent(&self) -> bool {
        let most = self.tool.max_uses;
        self.uses >= most || self.rounds >= most || self.results_left() == 0
    }

    /// The result of each call of a step, with its id.
    pub(super) async fn results(&mut self, asked: Vec<Asked>) -> Vec<(JsonText, String)> {
        self.rounds += 1;
        let mut results = Vec::with_capacity(asked.len());
        for one in asked {
            let result = self.result(&one).await;
            results.push((one.id, result));
        }
        results
    }

    async fn result(&mut self, asked: &Asked) -> String {
        let Some(query) = tool::query(&asked.arguments) else {
            return NO_QUERY.to_owned();
        };
        let left = self.results_left();
        if self.uses >= self.tool.max_uses || left == 0 {
            return NO_MORE.to_owned();
        }
        self.uses += 1;
        let wish = Wish {
            max_results: self.tool.wish.max_results.min(left),
            ..self.tool.wish.clone()
        };
        match self.web.search(&self.engine, &wish, &query).await {
            Ok(sources) => self.found(&wish, sources),
            Err(error) => {
                tracing::warn!(generation.id = %self.id, search.engine = %self.engine.engine, %error, "a web search failed");
                self.searched.failure = Some(error.word().to_owned());
                FAILED.to_owned()
            }
        }
    }

    fn found(&mut self, wish: &Wish, sources: Vec<Source>) -> String {
        let price = self.engine.price.of(wish.mode, sources.len());
        let searched = &mut self.searched;
        searched.searches += 1;
        searched.results += sources.len() as u64;
        searched.price = searched.price.saturating_add(price);
        let text = match sources.as_slice() {
            [] => NOTHING.to_owned(),
            found => quote::quotation(found, &random_text(MARK)),
        };
        for source in sources {
            if !self.sources.iter().any(|known| known.url == source.url) {
                self.sources.push(source);
            }
        }
        text
    }

    fn results_left(&self) -> usize {
        let had = usize::try_from(self.searched.results).unwrap_or(usize::MAX);
        self.tool.max_total_results.saturating_sub(had)
    }
}
