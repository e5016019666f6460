//! The naive model of `contacts`: each person's life with the account, told in words.
//!
//! Next: `tied.rs`, any contacts; `order.rs`, the same of persons.

use crate::fixture::{config, rules};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::facts::contacts::Contacts;
use ebbflow::domain::facts::order::Stamp;
use ebbflow::domain::id::EventKey;
use ebbflow::domain::look_ahead::LookAhead;
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::{ContactsRules, Rules};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

const SILENT: i64 = 90 * DAY_MS;
const WINDOW: i64 = 90 * DAY_MS;
const REMEMBER: i64 = 365 * DAY_MS;

/// A person: events with the account, sights elsewhere, scores as champion.
#[derive(Clone, Debug)]
struct Person {
    events: Vec<i64>,
    elsewhere: Vec<i64>,
    scores: Vec<(i64, u8)>,
}

impl Person {
    fn last(&self) -> i64 {
        *self.events.iter().max().expect("an event")
    }

    fn is_active(&self, at: i64) -> bool {
        let left = self.elsewhere.iter().any(|seen| *seen > self.last());
        !left && at - self.last() <= SILENT
    }

    fn came(&self, at: i64) -> bool {
        self.is_active(at) && self.events.iter().all(|event| at - event <= WINDOW)
    }

    fn is_lost(&self, at: i64) -> bool {
        !self.is_active(at) && at - self.last() <= SILENT + WINDOW
    }

    fn is_champion(&self) -> bool {
        self.scores.iter().max().is_some_and(|(_, score)| *score >= 2)
    }
}

fn naive(people: &[Person], at: i64) -> &'static str {
    let champions = || people.iter().filter(|it| it.is_champion());
    let count = |is: fn(&Person, i64) -> bool| people.iter().filter(|it| is(it, at)).count();
    let missed = |it: &Person| !it.is_active(at) && at - it.last() <= REMEMBER;
    if people.is_empty() {
        "none"
    } else if champions().all(|it| !it.is_active(at)) && champions().any(missed) {
        "champion_lost"
    } else {
        match count(Person::came).cmp(&count(Person::is_lost)) {
            std::cmp::Ordering::Less => "shrinking",
            std::cmp::Ordering::Equal => "stable",
            std::cmp::Ordering::Greater => "growing",
        }
    }
}

fn person() -> impl Strategy<Value = Person> {
    let at = || prop_oneof![0..600_i64 * DAY_MS, (0..600_i64).prop_map(|day| day * DAY_MS)];
    (vec(at(), 1..5), vec(at(), 0..2), vec((at(), 0..4_u8), 0..3))
        .prop_map(|(events, elsewhere, scores)| Person { events, elsewhere, scores })
}

fn account(people: &[Person]) -> Customer {
    let mut contacts = Contacts::default();
    for (hash, person) in (0..).zip(people) {
        person.events.iter().for_each(|at| contacts.seen(hash, Timestamp(*at)));
        person.elsewhere.iter().for_each(|at| contacts.left(hash, Timestamp(*at)));
        for (at, score) in &person.scores {
            contacts.champion(hash, *score, Stamp { at: Timestamp(*at), key: EventKey(0) });
        }
    }
    let mut account = Customer::new("account:a", Timestamp(0), 1);
    account.contacts = Some(Box::new(contacts));
    account
}

fn value(account: &Customer, rules: &Rules, at: i64) -> String {
    let value = measure(account, rules, Timestamp(at)).value(Dimension::Contacts);
    Dimension::Contacts.value_name(value, rules).to_string()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn contacts_are_judged_as_the_naive_model_does_and_change_when_it_is_said(
        people in vec(person(), 0..6), from in 0..1_200_i64, on_the_dot in any::<bool>(),
    ) {
        let rules = rules();
        let account = account(&people);
        let mut at = from * DAY_MS + i64::from(!on_the_dot) * 12_345;
        for _ in 0..60 {
            let now = naive(&people, at);
            prop_assert_eq!(value(&account, &rules, at), now);
            let view = View::new(&account, &rules, Timestamp(at));
            let present = measure(&account, &rules, Timestamp(at));
            let next = LookAhead::new(&view).next_raw(Dimension::Contacts, &present);
            let until = next.map_or(at + 2_000 * DAY_MS, |(next, _)| next.0);
            for between in (at..until).step_by(usize::try_from(DAY_MS).expect("ms")) {
                prop_assert_eq!(naive(&people, between), now, "at {} until {}", between, until);
            }
            prop_assert_eq!(naive(&people, until - 1), now);
            let Some((next, then)) = next else { break };
            prop_assert_eq!(naive(&people, next.0), &*Dimension::Contacts.value_name(then, &rules));
            at = next.0;
        }
    }
}

#[test]
fn persons_have_no_contacts_and_accounts_no_stage() {
    let rules = rules();
    let ContactsRules { silent_after_ms, window_ms, champion_score, remember_ms } =
        rules.thresholds.contacts;
    assert_eq!([silent_after_ms, window_ms, remember_ms], [SILENT, WINDOW, REMEMBER]);
    assert_eq!(champion_score, 2);
    let person = Person { events: vec![0], elsewhere: Vec::new(), scores: Vec::new() };
    let mut account = account(&[person]);
    assert_eq!(value(&account, &rules, 0), "growing");
    account.id = "a".to_owned();
    assert_eq!(value(&account, &rules, 0), "none");
    let present = measure(&account, &rules, Timestamp(0));
    let view = View::new(&account, &rules, Timestamp(0));
    assert_eq!(LookAhead::new(&view).next_raw(Dimension::Contacts, &present), None);
}
