//! A map from RFM cells to segment names: total, without overlap, each name with a rank.
//!
//! Built from data (`config/rfm/*.toml` or the user's file); never knows what a name means.
//! Next: `rfm.rs`, which computes the scores that are looked up here.

use crate::domain::name::Name;

/// Value names of a map are kept as indices of one byte.
pub const MAX_VALUES: usize = 64;
/// Levels per score that a map may have.
pub const MAX_LEVELS: u8 = 10;

/// Cells to names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RfmMap {
    name: String,
    levels: u8,
    uses_monetary: bool,
    values: Vec<MapValue>,
    rule_ids: Vec<Name>,
    cells: Vec<u8>,
}

/// A segment name of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapValue {
    /// The name that is published.
    pub name: Name,
    /// Higher is better; decides `up` and `down`.
    pub rank: i32,
    /// Patterns of cells, such as `5[45]` (R F) or `555` (R F M).
    pub cells: Vec<String>,
}

impl RfmMap {
    /// Builds and checks a map; cells name R and F, or R, F and M, all of the same length.
    ///
    /// # Errors
    /// Every problem found, one sentence each: a malformed or overlapping pattern, a cell that no
    /// name has, a name twice, `none` as a name, too many names or levels.
    pub fn new(name: &str, levels: u8, values: Vec<MapValue>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if !(2..=MAX_LEVELS.min(9)).contains(&levels) {
            return Err(vec![format!("levels = {levels} is not between 2 and 9")]);
        }
        if values.is_empty() || values.len() > MAX_VALUES {
            problems.push(format!("{} names; 1 to {MAX_VALUES} are possible", values.len()));
            return Err(problems);
        }
        let dimensions = values
            .iter()
            .flat_map(|value| &value.cells)
            .filter_map(|pattern| expand(pattern, levels).ok())
            .find_map(|cells| cells.first().map(Vec::len))
            .unwrap_or(0);
        let uses_monetary = dimensions == 3;
        let width = usize::from(levels);
        let mut cells = vec![u8::MAX; width * width * width];
        for (index, value) in values.iter().enumerate() {
            if value.name.is_empty() || value.name == "none" {
                problems.push(format!("the name \"{}\" is reserved", value.name));
            }
            if values[..index].iter().any(|earlier| earlier.name == value.name) {
                problems.push(format!("the name \"{}\" stands twice", value.name));
            }
            if value.cells.is_empty() {
                problems.push(format!("{}: no cells", value.name));
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most MAX_VALUES names")]
            let value_index = index as u8;
            for pattern in &value.cells {
                match expand(pattern, levels) {
                    Err(problem) => problems.push(format!("{}: {problem}", value.name)),
                    Ok(scores) => {
                        for cell in scores {
                            if cell.len() != dimensions || !(2..=3).contains(&cell.len()) {
                                problems.push(format!(
                                    "{}: the cell \"{pattern}\" names {} scores; \
                                     all must name 2 or all 3",
                                    value.name,
                                    cell.len()
                                ));
                                break;
                            }
                            let monetary =
                                if uses_monetary { cell[2]..=cell[2] } else { 1..=levels };
                            for m in monetary {
                                let slot = &mut cells[cell_index(levels, cell[0], cell[1], m)];
                                if *slot != u8::MAX && (m == 1 || uses_monetary) {
                                    problems.push(format!(
                                        "cell {} belongs to \"{}\" and to \"{}\"",
                                        cell_text(&cell),
                                        values[usize::from(*slot)].name,
                                        value.name
                                    ));
                                }
                                *slot = value_index;
                            }
                        }
                    }
                }
            }
        }
        if problems.is_empty() {
            for r in 1..=levels {
                for f in 1..=levels {
                    for m in 1..=(if uses_monetary { levels } else { 1 }) {
                        if cells[cell_index(levels, r, f, m)] == u8::MAX {
                            let cell = if uses_monetary { vec![r, f, m] } else { vec![r, f] };
                            problems.push(format!("cell {} has no name", cell_text(&cell)));
                        }
                    }
                }
            }
        }
        if problems.is_empty() {
            let id = |value: &MapValue| format!("{name}:{}", value.name).into();
            let none = format!("{name}:none").into();
            let rule_ids = std::iter::once(none).chain(values.iter().map(id)).collect();
            Ok(Self { name: name.to_owned(), levels, uses_monetary, values, rule_ids, cells })
        } else {
            Err(problems)
        }
    }

    /// Name of the map.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the rule that gives a raw value: 0 = `none`, else 1 + the index into the values.
    #[must_use]
    pub fn rule_id(&self, value: u8) -> Name {
        self.rule_ids.get(usize::from(value)).map_or("unknown".into(), Name::clone)
    }

    /// Levels per score; edges are one fewer.
    #[must_use]
    pub const fn levels(&self) -> u8 {
        self.levels
    }

    /// Whether M decides anything.
    #[must_use]
    pub const fn uses_monetary(&self) -> bool {
        self.uses_monetary
    }

    /// The names with their ranks.
    #[must_use]
    pub fn values(&self) -> &[MapValue] {
        &self.values
    }

    /// Index into [`Self::values`] of the cell's name; scores are 1 to `levels`.
    ///
    /// # Panics
    /// When a score is out of range.
    #[must_use]
    pub fn look_up(&self, r: u8, f: u8, m: u8) -> u8 {
        self.cells[cell_index(self.levels, r, f, m)]
    }

    /// Cells in which silence (R falls by one, F and M stay) improves the name, each as
    /// `233 from hibernating to at_risk`.
    #[must_use]
    pub fn silence_improves(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for r in 2..=self.levels {
            for f in 1..=self.levels {
                for m in 1..=(if self.uses_monetary { self.levels } else { 1 }) {
                    let before = &self.values[usize::from(self.look_up(r, f, m))];
                    let after = &self.values[usize::from(self.look_up(r - 1, f, m))];
                    if after.rank > before.rank {
                        let cell = if self.uses_monetary { vec![r, f, m] } else { vec![r, f] };
                        warnings.push(format!(
                            "{} from {} to {}",
                            cell_text(&cell),
                            before.name,
                            after.name
                        ));
                    }
                }
            }
        }
        warnings
    }
}

fn cell_index(levels: u8, r: u8, f: u8, m: u8) -> usize {
    let width = usize::from(levels);
    (usize::from(r - 1) * width + usize::from(f - 1)) * width + usize::from(m - 1)
}

fn cell_text(cell: &[u8]) -> String {
    cell.iter().map(ToString::to_string).collect()
}

/// Expands `3[12]` to the score lists `[3, 1]` and `[3, 2]`.
fn expand(pattern: &str, levels: u8) -> Result<Vec<Vec<u8>>, String> {
    let mut cells: Vec<Vec<u8>> = vec![Vec::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let choices: Vec<char> = if character == '[' {
            let mut closed = false;
            let inner: Vec<char> = characters
                .by_ref()
                .take_while(|character| {
                    closed = *character == ']';
                    !closed
                })
                .collect();
            if !closed {
                return Err(format!("\"{pattern}\" has no closing bracket"));
            }
            if inner.is_empty() {
                return Err(format!("\"{pattern}\" has an empty choice"));
            }
            inner
        } else {
            vec![character]
        };
        let mut scores = Vec::new();
        for choice in choices {
            let score = choice.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
            match score {
                Some(score) if (1..=levels).contains(&score) => scores.push(score),
                _ => {
                    return Err(format!(
                        "\"{pattern}\": '{choice}' is not a score from 1 to {levels}"
                    ));
                }
            }
        }
        cells = cells
            .iter()
            .flat_map(|cell| {
                scores.iter().map(move |score| {
                    let mut longer = cell.clone();
                    longer.push(*score);
                    longer
                })
            })
            .collect();
    }
    if cells[0].is_empty() {
        return Err("an empty cell".to_owned());
    }
    Ok(cells)
}

#[cfg(test)]
#[path = "rfm_map_tests.rs"]
mod tests;
