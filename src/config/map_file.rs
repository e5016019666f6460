//! RFM maps as files: the shipped ones, compiled in, and the user's.
//!
//! Never decides what a map means; `RfmMap::new` checks it. Next: `rules.rs`, which picks one.

use crate::domain::dimensions::rfm_map::{MapValue, RfmMap};
use serde::Deserialize;

/// Maps that can be named in the configuration.
pub const SHIPPED: [(&str, &str); 3] = [
    ("rf-10", include_str!("../../config/rfm/rf-10.toml")),
    ("classic-11", include_str!("../../config/rfm/classic-11.toml")),
    ("klaviyo-6", include_str!("../../config/rfm/klaviyo-6.toml")),
];

/// A checked map and its own edges.
#[derive(Clone, Debug)]
pub struct MapFile {
    /// Cells to names.
    pub map: RfmMap,
    /// Edges where the configuration has none.
    pub edges: Edges,
}

/// Edges between scores, each one fewer than the levels.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edges {
    /// Days since the last order.
    pub recency_days: Vec<i64>,
    /// Orders.
    pub frequency: Vec<i64>,
    /// Minor units of the base currency.
    pub monetary_minor: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    levels: u8,
    edges: Edges,
    segments: Vec<WrittenSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSegment {
    name: String,
    rank: i32,
    cells: Vec<String>,
}

/// Reads and checks the text of a map file.
///
/// # Errors
/// Every problem found, one sentence each.
pub fn parse(text: &str) -> Result<MapFile, Vec<String>> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text.as_bytes()[..span.start].split(|byte| *byte == b'\n').count());
        vec![format!("line {line}: {}", error.message().replace('\n', ", "))]
    })?;
    let values = written
        .segments
        .into_iter()
        .map(|segment| MapValue {
            name: segment.name.into(),
            rank: segment.rank,
            cells: segment.cells,
        })
        .collect();
    let mut problems = Vec::new();
    if let Err(problem) = crate::config::values::id(&written.name) {
        problems.push(format!("name = \"{}\": {problem}", written.name));
    }
    for (kind, edges) in written.edges.by_kind() {
        if let Err(problem) = kind.check(edges, written.levels) {
            problems.push(format!("edges.{} = {edges:?}: {problem}", kind.key()));
        }
    }
    match RfmMap::new(&written.name, written.levels, values) {
        Ok(map) if problems.is_empty() => Ok(MapFile { map, edges: written.edges }),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

impl Edges {
    fn by_kind(&self) -> [(EdgeKind, &[i64]); 3] {
        [
            (EdgeKind::Recency, &self.recency_days),
            (EdgeKind::Frequency, &self.frequency),
            (EdgeKind::Monetary, &self.monetary_minor),
        ]
    }
}

/// Which score edges are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EdgeKind {
    Recency,
    Frequency,
    Monetary,
}

impl EdgeKind {
    /// Name of the key in map files and below `rfm`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Recency => "recency_days",
            Self::Frequency => "frequency",
            Self::Monetary => "monetary_minor",
        }
    }

    /// Checks number, order and range of edges for a map of `levels`.
    pub(crate) fn check(self, edges: &[i64], levels: u8) -> Result<(), String> {
        let range = match self {
            Self::Recency => 1..=36_500,
            Self::Frequency => 0..=1_000_000,
            Self::Monetary => 0..=crate::domain::money::MAX_AMOUNT_MINOR,
        };
        let expected = usize::from(levels.saturating_sub(1));
        if edges.len() != expected {
            return Err(format!(
                "{} edges; expected {expected}, one fewer than the {levels} levels of the map",
                edges.len()
            ));
        }
        if let Some(edge) = edges.iter().find(|edge| !range.contains(edge)) {
            return Err(format!("the edge {edge}: expected {} to {}", range.start(), range.end()));
        }
        if !edges.is_sorted() {
            return Err("expected edges that never decrease".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(name: &str) -> MapFile {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).expect("shipped");
        parse(text).expect("a sound map")
    }

    /// Cells with a name, R F M or R F.
    fn cells(map: &RfmMap) -> usize {
        map.values().iter().map(|value| value.cells.len()).sum()
    }

    #[test]
    fn the_shipped_maps_are_total_and_named_as_their_files() {
        for (name, _) in SHIPPED {
            assert_eq!(shipped(name).map.name(), name);
        }
        // One pattern a cell and none twice: as many patterns as cells.
        let classic = shipped("classic-11").map;
        assert_eq!((classic.values().len(), cells(&classic)), (11, 125));
        let klaviyo = shipped("klaviyo-6").map;
        assert_eq!((klaviyo.values().len(), cells(&klaviyo)), (6, 27));
        assert_eq!(shipped("rf-10").map.values().len(), 10);
    }

    #[test]
    fn silence_improves_five_cells_of_the_published_list_and_none_of_the_others() {
        assert_eq!(
            shipped("classic-11").map.silence_improves(),
            [
                "233 from hibernating to at_risk",
                "521 from promising to new_customer",
                "522 from promising to new_customer",
                "523 from promising to potential_loyalist",
                "535 from need_attention to loyal",
            ]
        );
        assert!(shipped("rf-10").map.silence_improves().is_empty());
        assert!(shipped("klaviyo-6").map.silence_improves().is_empty());
    }

    #[test]
    fn all_problems_of_a_map_are_told() {
        let (_, text) = SHIPPED[2];
        let text = text
            .replace("frequency = [1, 4]", "frequency = [4, 1]")
            .replace("recency_days = [180, 365]", "recency_days = [180]")
            .replace("\"111\", ", "");
        assert_eq!(
            parse(&text).expect_err("three problems"),
            [
                "edges.recency_days = [180]: 1 edges; expected 2, one fewer than the 3 levels of \
                 the map",
                "edges.frequency = [4, 1]: expected edges that never decrease",
                "cell 111 has no name",
            ]
        );
    }
}
