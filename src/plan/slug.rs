//! The slug grammar (contract 7.1): `author/slug[:variant]…`.

use super::Tier;
use super::preferences::Sort;

/// A variant that any model takes (contract 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Fastest first.
    Nitro,
    /// Cheapest first.
    Floor,
    /// Best measured tool calls first.
    Exacto,
    /// With web search.
    Online,
}

/// A slug taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Slug<'a> {
    /// The model's id, static variants (`:free`, `:thinking` …) included: they are rows of the catalogue.
    pub model: &'a str,
    /// The dynamic variants, in the order written.
    pub variants: Vec<Variant>,
}

impl Variant {
    /// The order that the variant stands for, and the tier whose endpoints it lets in (contract 7.3).
    pub fn sorts(&self) -> Option<(Sort, Option<Tier>)> {
        match self {
            Variant::Nitro => Some((Sort::Throughput, Some(Tier::Priority))),
            Variant::Floor => Some((Sort::Price, Some(Tier::Flex))),
            Variant::Exacto => Some((Sort::Exacto, None)),
            Variant::Online => None,
        }
    }
}

/// Strips dynamic variants from the end until what is left is `known`. `None` when nothing is.
pub fn parse<'a>(slug: &'a str, known: impl Fn(&str) -> bool) -> Option<Slug<'a>> {
    let (mut model, mut variants) = (slug, Vec::new());
    while !known(model) {
        let (rest, suffix) = model.rsplit_once(':')?;
        variants.push(variant(suffix)?);
        model = rest;
    }
    variants.reverse();
    Some(Slug { model, variants })
}

fn variant(suffix: &str) -> Option<Variant> {
    match suffix {
        "nitro" => Some(Variant::Nitro),
        "floor" => Some(Variant::Floor),
        "exacto" => Some(Variant::Exacto),
        "online" => Some(Variant::Online),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(slug: &str, expect: Option<(&str, &[Variant])>) {
        let known = |model: &str| ["acme/orca", "acme/orca:free"].contains(&model);
        let expect = expect.map(|(model, variants)| Slug {
            model,
            variants: variants.to_vec(),
        });
        assert_eq!(parse(slug, known), expect);
    }

    #[test]
    fn variants_stack_on_known_models() {
        check("acme/orca", Some(("acme/orca", &[])));
        check("acme/orca:nitro", Some(("acme/orca", &[Variant::Nitro])));
        check(
            "acme/orca:free:online",
            Some(("acme/orca:free", &[Variant::Online])),
        );
        check(
            "acme/orca:floor:exacto",
            Some(("acme/orca", &[Variant::Floor, Variant::Exacto])),
        );
        check("acme/orca:", None);
        check("acme/orca:turbo", None);
        check("acme/whale", None);
        check("", None);
    }
}
