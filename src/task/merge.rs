//! Which input's record comes next: the least by (effective time, input, offset).
//!
//! An input that has more but nothing at hand is waited for, so that history is replayed in its
//! own order whatever the speed of the fetches.

use crate::task::clock::Head;

/// What the merge says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The head of this input.
    Input(usize),
    /// Nothing before this input has a record at hand.
    AwaitInput(usize),
    /// All inputs are at their ends.
    AtEnd,
}

/// Chooses between the heads of a task's inputs.
#[must_use]
pub fn next(heads: &[Head; 3]) -> Next {
    let mut chosen: Option<(crate::domain::time::Timestamp, usize)> = None;
    for (index, head) in heads.iter().enumerate() {
        match head {
            Head::Awaited => return Next::AwaitInput(index),
            Head::AtEnd => {}
            Head::Event(at) => {
                if chosen.is_none_or(|best| (*at, index) < best) {
                    chosen = Some((*at, index));
                }
            }
        }
    }
    chosen.map_or(Next::AtEnd, |(_, index)| Next::Input(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn the_earliest_record_goes_first_and_ties_follow_the_input_order() {
        let at = |ms| Head::Event(Timestamp(ms));
        assert_eq!(next(&[at(5), at(4), Head::AtEnd]), Next::Input(1));
        assert_eq!(next(&[at(5), at(5), at(5)]), Next::Input(0));
        assert_eq!(next(&[at(5), Head::Awaited, at(1)]), Next::AwaitInput(1));
        assert_eq!(next(&[Head::AtEnd; 3]), Next::AtEnd);
    }
}
