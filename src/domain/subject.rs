//! Whose state it is: a customer, an account, or a visitor whom nobody knows yet.
//!
//! Told by the id alone. Next: `dimension.rs`, which dimensions a subject has.

use crate::domain::id::{ACCOUNT_PREFIX, ANONYMOUS_PREFIX};

/// Whose state it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A person with a customer id.
    Customer,
    /// A company that people buy for.
    Account,
    /// Somebody of whom only an anonymous id is known.
    Visitor,
}

impl Subject {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Account, Self::Visitor];

    /// Whose id it is.
    #[must_use]
    pub fn of(id: &str) -> Self {
        if id.starts_with(ANONYMOUS_PREFIX) {
            Self::Visitor
        } else if id.starts_with(ACCOUNT_PREFIX) {
            Self::Account
        } else {
            Self::Customer
        }
    }

    /// The word that is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Account => "account",
            Self::Visitor => "anonymous",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_an_id_says_whose_it_is() {
        assert_eq!(Subject::of("c-1"), Subject::Customer);
        assert_eq!(Subject::of("account:c-1"), Subject::Account);
        assert_eq!(Subject::of("anon:c-1"), Subject::Visitor);
        for (place, subject) in Subject::ALL.into_iter().enumerate() {
            assert_eq!(subject as usize, place);
        }
    }
}
