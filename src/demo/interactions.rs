//! What the shop's customers may have done besides ordering: made up, the same in every run.
//!
//! Every event says `source: "synthetic"`. Each customer has a generator of their own, seeded by
//! their id, so that a change to one leaves the others as they are. Next: `feed.rs`.

use crate::domain::event::{Body, Event, Interaction, MessageKind, Survey, Text, VisitKind};
use crate::domain::id::hash64;
use crate::domain::time::{DAY_MS, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Changes everything that is made up.
const SEED: u64 = 0x0eb6_f10e_2011_1209;
/// People who look and never buy.
const PROSPECTS: u32 = 600;
const HOUR_MS: i64 = DAY_MS / 24;
const MINUTE_MS: i64 = HOUR_MS / 60;

const CATEGORIES: [&str; 8] =
    ["candles", "bags", "kitchen", "garden", "christmas", "stationery", "toys", "lights"];
const REASONS: [&str; 5] = ["service", "price", "quality", "delivery", "choice"];

/// Orders by customer: their times, ascending.
pub(super) type Histories<'a> = BTreeMap<&'a str, Vec<Timestamp>>;

/// Interactions of the customers and of some prospects, none later than `last`.
pub(super) fn generate(histories: &Histories<'_>, first: Timestamp, last: Timestamp) -> Events {
    let mut events = Events { last, list: Vec::new() };
    for (customer_id, orders) in histories {
        let mut person = Person::new(customer_id, &mut events);
        for ordered_at in orders {
            person.before_order(*ordered_at);
            person.after_order(*ordered_at);
        }
        // Before anybody has ordered there is nothing to come back to.
        if let Some(known_since) = orders.first() {
            for _ in 0..person.random.below(4) {
                let at = person.random.between(*known_since, last);
                person.browse(at);
            }
        }
    }
    for number in 1..=PROSPECTS {
        let id = format!("prospect-{number:04}");
        let mut person = Person::new(&id, &mut events);
        for _ in 0..=person.random.below(3) {
            let at = person.random.between(first, last);
            person.browse(at);
        }
    }
    events
}

/// What was made up so far.
pub(super) struct Events {
    last: Timestamp,
    pub(super) list: Vec<Event<'static>>,
}

/// One person's doings.
struct Person<'a> {
    id: &'a str,
    random: Random,
    number: u32,
    events: &'a mut Events,
}

impl<'a> Person<'a> {
    fn new(id: &'a str, events: &'a mut Events) -> Self {
        Self { id, random: Random(SEED ^ hash64(id)), number: 0, events }
    }

    fn does(&mut self, at: Timestamp, interaction: Interaction<'static>) {
        self.number += 1;
        if at > self.events.last {
            return;
        }
        self.events.list.push(Event {
            event_id: format!("syn-{}-{}", self.id, self.number).into(),
            customer_id: Some(Cow::Owned(self.id.to_owned())),
            anonymous_id: None,
            account_id: None,
            occurred_at: at,
            source: Some("synthetic".into()),
            body: Body::Interaction(interaction),
        });
    }

    fn visits(&mut self, at: Timestamp, kind: VisitKind) {
        let (sku, category) = self.product();
        let visit =
            Interaction::Visit { kind, sku: Some(sku), category: Some(category), channel: None };
        self.does(at, visit);
    }

    fn product(&mut self) -> (Text<'static>, Text<'static>) {
        let number = self.random.below(2000);
        let category = CATEGORIES[usize::try_from(number % 8).unwrap_or(0)];
        (format!("sku-{number:04}").into(), category.into())
    }

    /// Looks at products for some days, and may use a cart.
    fn before_order(&mut self, ordered_at: Timestamp) {
        for _ in 0..self.random.below(4) {
            let ahead_ms = self.random.span(5 * MINUTE_MS, 3 * DAY_MS);
            self.visits(ordered_at.plus_ms(-ahead_ms), VisitKind::ProductViewed);
        }
        if self.random.percent(30) {
            let ahead_ms = self.random.span(MINUTE_MS, 30 * MINUTE_MS);
            self.visits(ordered_at.plus_ms(-ahead_ms), VisitKind::ProductAdded);
        }
    }

    /// Hears from the shop, and answers at times.
    fn after_order(&mut self, ordered_at: Timestamp) {
        if self.random.percent(25) {
            let at = ordered_at.plus_ms(self.random.span(5 * DAY_MS, 20 * DAY_MS));
            self.hears(at);
        }
        if self.random.percent(8) {
            let at = ordered_at.plus_ms(self.random.span(3 * DAY_MS, 12 * DAY_MS));
            let score = self.random.pick(&[10, 9, 9, 10, 8, 7, 8, 7, 6, 3]);
            let reason = self.random.pick(&REASONS);
            let answer = Interaction::SurveyAnswered {
                survey: Survey::Nps,
                score: Some(score),
                reason: Some(reason.into()),
            };
            self.does(at, answer);
        }
        if self.random.percent(4) {
            let at = ordered_at.plus_ms(self.random.span(4 * DAY_MS, 30 * DAY_MS));
            let score = self.random.pick(&[5, 5, 4, 5, 4, 3, 2, 1]);
            let (sku, _) = self.product();
            self.does(at, Interaction::ProductReviewed { score, sku: Some(sku) });
        }
        if self.random.percent(2) {
            let at = ordered_at.plus_ms(self.random.span(HOUR_MS, 10 * DAY_MS));
            let (sku, _) = self.product();
            self.does(at, Interaction::Shared { score: None, sku: Some(sku) });
        }
        if self.random.percent(1) {
            let at = ordered_at.plus_ms(self.random.span(DAY_MS, 20 * DAY_MS));
            let friend = format!("friend-of-{}-{}", self.id, self.number);
            let friend = || Some(Cow::Owned(friend.clone()));
            self.does(at, Interaction::ReferralSent { referred_customer_id: friend() });
            if self.random.percent(40) {
                let at = at.plus_ms(self.random.span(HOUR_MS, 10 * DAY_MS));
                self.does(at, Interaction::ReferralAccepted { referred_customer_id: friend() });
            }
        }
    }

    fn hears(&mut self, at: Timestamp) {
        let campaign = format!("newsletter-{}", at.day().0 / 30);
        let message = |kind| Interaction::Message {
            kind,
            campaign: Some(campaign.clone().into()),
            channel: Some("email".into()),
        };
        self.does(at, message(MessageKind::Sent));
        if self.random.percent(40) {
            let opened_at = at.plus_ms(self.random.span(5 * MINUTE_MS, DAY_MS));
            self.does(opened_at, message(MessageKind::Opened));
            if self.random.percent(30) {
                self.does(opened_at.plus_ms(MINUTE_MS), message(MessageKind::Clicked));
            }
        }
    }

    /// Some minutes on the shop's pages.
    fn browse(&mut self, at: Timestamp) {
        let mut at = at;
        self.does(
            at,
            Interaction::Visit {
                kind: VisitKind::PageViewed,
                sku: None,
                category: None,
                channel: Some("web".into()),
            },
        );
        for _ in 0..self.random.below(6) {
            at = at.plus_ms(self.random.span(MINUTE_MS / 6, 4 * MINUTE_MS));
            self.visits(at, VisitKind::ProductViewed);
        }
        if self.random.percent(10) {
            self.visits(at.plus_ms(MINUTE_MS), VisitKind::ProductAdded);
        }
    }
}

/// SplitMix64. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`, which is small enough for the bias not to matter.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let place = self.below(from.len() as u64);
        from[usize::try_from(place).unwrap_or(0)]
    }

    /// From `least` to below `most`, in ms.
    fn span(&mut self, least: i64, most: i64) -> i64 {
        let width = u64::try_from(most - least).unwrap_or(0).max(1);
        least + i64::try_from(self.below(width)).unwrap_or(0)
    }

    fn between(&mut self, from: Timestamp, to: Timestamp) -> Timestamp {
        from.plus_ms(self.span(0, to.since(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        let mut random = Random(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        // Source: the test vector of Rosetta Code, "Pseudo-random numbers/Splitmix64".
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, published);
    }

    #[test]
    fn nothing_comes_after_the_last_order_and_everything_says_that_it_is_made_up() {
        let (first, last) = (Timestamp(0), Timestamp(400 * DAY_MS));
        let histories = Histories::from([("a", vec![Timestamp(DAY_MS), last]), ("b", vec![])]);
        let events = generate(&histories, first, last).list;
        assert!(events.len() > usize::try_from(PROSPECTS).expect("a small number"));
        assert!(events.iter().all(|event| event.occurred_at <= last));
        assert!(events.iter().all(|event| event.source.as_deref() == Some("synthetic")));
        assert!(!events.iter().any(|event| event.customer_id.as_deref() == Some("b")));
        let mut ids: Vec<_> = events.iter().map(|event| event.event_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len());
    }
}
