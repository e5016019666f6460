//! Persons, visitors and accounts in the configuration: what an event counts for, and who is told.
//!
//! Next: `docs/dimensions.md`, what accounts have.

use crate::{config, problems};
use ebbflow::domain::event::{Body, Event, Interaction, Outcome, Purchase, Qualification};
use ebbflow::domain::rules::Feeds;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::Timestamp;
use insta::assert_snapshot;

#[test]
fn subjects_accounts_and_contacts_are_checked() {
    let text = r#"
output.subjects = ["customer", "visitor"]
accounts.qualification = "nobody"
identity.keep_visitors = "1h"
contacts = { silent_after = "91d", remember = "91d", champion_score = 4 }
"#;
    assert_snapshot!(problems(text), @r##"
    5 problems in the configuration:
      contacts.champion_score = 4 (shop.toml:5): expected a whole number from 1 to 3
      contacts.remember = "91d" (shop.toml:5): expected more than contacts.silent_after: a champion is missed only when it is silent
      accounts.qualification = "nobody" (shop.toml:3): expected "person" or "account" or "both"
      identity.keep_visitors = "1h" (shop.toml:4): expected a duration from 1d to 36500d
      output.subjects = ["customer", "visitor"] (shop.toml:2): expected a list of distinct "customer", "account", "anonymous"
    "##);
}

#[test]
fn whom_an_event_counts_for_is_chosen_by_its_kind() {
    let rules = |text: &str| config(text, &[], &[]).rules;
    let event = |account: Option<&'static str>, body| Event {
        event_id: "e-1".into(),
        customer_id: Some("c-1".into()),
        anonymous_id: None,
        account_id: account.map(Into::into),
        occurred_at: Timestamp(0),
        source: None,
        body,
    };
    let cancelled = || Body::Purchase(Purchase::OrderCancelled { order_id: "o-1".into() });
    let won = || Interaction::QualificationUpdated(Qualification::Outcome(Outcome::Won));
    let won = || Body::Interaction(won());
    let erase = || Body::Interaction(Interaction::EraseRequested);
    let default = rules("");
    let feeds = |body| default.feeds(&event(Some("a-1"), body));
    assert_eq!(feeds(cancelled()), Feeds::BOTH);
    assert_eq!(feeds(won()), Feeds::ACCOUNT);
    assert_eq!(feeds(erase()), Feeds::PERSON);
    assert_eq!(default.feeds(&event(None, won())), Feeds::PERSON);
    let own = rules("accounts = { purchases = \"account\", qualification = \"both\" }");
    assert_eq!(own.feeds(&event(Some("a-1"), cancelled())), Feeds::ACCOUNT);
    assert_eq!(own.feeds(&event(Some("a-1"), won())), Feeds::BOTH);
    assert!(default.emits_subject(Subject::Account) && !default.emits_subject(Subject::Visitor));
}

#[test]
fn redirects_that_end_before_the_inputs_do_are_told() {
    let told = |text: &str| config(text, &[], &[]).redirects_end_early();
    let early = told("identity.keep_redirects = \"90d\"").unwrap_or_default();
    assert_snapshot!(early, @"identity.keep_redirects = 90d is shorter than topics.input_retention = 730d: of events that are read late nobody may know any more who their subject became");
    assert_eq!(told(""), None);
    assert_eq!(told("topics.input_retention = \"30d\""), None);
}
