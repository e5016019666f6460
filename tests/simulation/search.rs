//! One customer in one transaction: is there a way from the state before to what was written?
//!
//! Depth first, the likeliest step first; what was tried is remembered. Next: `replay.rs`, which
//! says what is searched for and why.

use crate::simulation::log::Payload;
use crate::simulation::reference::{TOPICS, Timed};
use crate::simulation::replay::detected_at;
use ebbflow::codec::change::{ChangeEncoder, headers};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::profile::ProfileEncoder;
use ebbflow::codec::state::{frame, unframe};
use ebbflow::domain::apply::{Tally, apply, catch_up, expire};
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Interaction, MessageKind, Purchase};
use ebbflow::domain::pack::{pack, unpack};
use ebbflow::domain::publish::close::close;
use ebbflow::domain::publish::context::Context;
use ebbflow::domain::publish::evaluate::{Unpublished, reevaluate};
use ebbflow::domain::publish::profile::profile;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Steps after which a search is given up.
const MAX_STEPS: usize = 3_000;

/// What a transaction wrote of a customer.
pub(crate) struct Written<'a> {
    pub(crate) changes: Vec<&'a Payload>,
    /// `Some(None)` = it was removed.
    pub(crate) state: Option<Option<&'a [u8]>>,
    pub(crate) profile: Option<Option<&'a [u8]>>,
    /// Until when events of the id are dropped.
    pub(crate) mark: Option<Option<Timestamp>>,
}

/// What there was before the transaction.
#[derive(Clone, Copy, Default)]
pub(crate) struct Before<'a> {
    pub(crate) state: Option<&'a [u8]>,
    pub(crate) mark: Option<Timestamp>,
    /// How many customers had been erased, before and with the transaction.
    pub(crate) erasures: (u32, u32),
}

/// How a search ended that did not fail.
pub(crate) enum Found {
    Yes,
    Unknown,
}

/// Inputs taken, changes told, the clock, the mark, the packed customer.
type Tried = ([usize; 3], usize, Timestamp, Option<Timestamp>, Vec<u8>);

/// Where a search stands.
#[derive(Clone)]
struct Place {
    customer: Option<Customer>,
    next: [usize; 3],
    told: usize,
    clock: Timestamp,
    published: bool,
    changed: bool,
    mark: Option<Timestamp>,
}

pub(crate) struct Search<'a> {
    id: &'a str,
    config: &'a TaskConfig,
    rules: Arc<Rules>,
    events: [Vec<&'a Timed<'a>>; 3],
    written: Written<'a>,
    detected_at: Vec<Timestamp>,
    clocks: (Timestamp, Timestamp),
    /// Clocks that make a difference.
    hints: BTreeSet<Timestamp>,
    tried: BTreeSet<Tried>,
    steps: usize,
    encoder: ChangeEncoder,
    before: Before<'a>,
}

impl<'a> Search<'a> {
    /// A search between two clocks.
    pub(crate) fn new(
        id: &'a str,
        config: &'a TaskConfig,
        rules: Arc<Rules>,
        events: [Vec<&'a Timed<'a>>; 3],
        written: Written<'a>,
        clocks: (Timestamp, Timestamp),
    ) -> Self {
        Self {
            id,
            config,
            rules,
            events,
            written,
            detected_at: Vec::new(),
            clocks,
            hints: BTreeSet::new(),
            tried: BTreeSet::new(),
            steps: 0,
            encoder: ChangeEncoder::new(OutputFormat::Json, false),
            before: Before::default(),
        }
    }

    fn unpacked(&self, state: Option<&[u8]>) -> Result<Option<Customer>, String> {
        let Some(state) = state else { return Ok(None) };
        let packed = unframe(state).map_err(|error| error.to_string())?;
        unpack(packed, &self.rules.rates).map(Some).map_err(|error| error.to_string())
    }

    /// From the state before, if any.
    pub(crate) fn run(mut self, before: Before<'a>) -> Result<Found, String> {
        self.before = before;
        let customer = self.unpacked(before.state)?;
        let after = self.unpacked(self.written.state.flatten())?;
        self.take_hints(after.as_ref())?;
        let (next, told, clock) = ([0; 3], 0, self.clocks.0);
        let (published, changed, mark) = (false, false, before.mark);
        let start = Place { customer, next, told, clock, published, changed, mark };
        if self.leads_there(&start) {
            return Ok(Found::Yes);
        }
        if self.steps >= MAX_STEPS {
            return Ok(Found::Unknown);
        }
        let text = |value: Option<&[u8]>| {
            value.map_or_else(String::new, |it| String::from_utf8_lossy(it).into_owned())
        };
        let changes: Vec<_> =
            self.written.changes.iter().map(|change| text(change.value.as_deref())).collect();
        let consumed: Vec<_> = self
            .events
            .iter()
            .flatten()
            .map(|timed| (timed.offset, timed.at, &timed.event.body))
            .collect();
        Err(format!(
            "between the clocks {:?} nothing leads from\n  {:?}\nwith\n  {consumed:?}\nto\n  \
             {after:?}\nthat writes\n  {}\nand the profile\n  {}\nand {:?} after {:?}",
            self.clocks,
            start.customer,
            changes.join("\n  "),
            text(self.written.profile.flatten()),
            self.written.mark,
            before.mark,
        ))
    }

    /// Instants at which a clock may have stood that is seen in what was written.
    fn take_hints(&mut self, after: Option<&Customer>) -> Result<(), String> {
        for change in &self.written.changes {
            let (detected_at, json) = detected_at(change)?;
            self.detected_at.push(detected_at);
            let occurred_at = json["occurred_at"].as_str().unwrap_or_default();
            if let Ok(at) = occurred_at.parse::<jiff::Timestamp>() {
                self.hints.insert(Timestamp(at.as_millisecond()));
            }
        }
        if let Some(after) = after {
            self.hints.insert(after.evaluated_at);
            let parked = after.book.rare.iter().flat_map(|rare| &rare.parked);
            self.hints.extend(parked.map(|parked| parked.parked_at));
            let audiences = after.audiences.iter().map(|audience| &audience.published);
            self.hints.extend(after.published.iter().chain(audiences).map(|it| it.since));
        }
        self.hints.extend(self.before.mark);
        let erased_at = |until: Timestamp| until.plus_ms(-self.rules.erase_keep_ms);
        self.hints.extend(self.written.mark.flatten().map(erased_at));
        // An event is late when the customer was seen after it.
        let events = self.events.iter().flatten();
        self.hints.extend(events.flat_map(|timed| [timed.at, timed.at.plus_ms(1)]));
        self.hints.insert(self.clocks.1);
        Ok(())
    }

    fn leads_there(&mut self, place: &Place) -> bool {
        self.steps += 1;
        if self.steps >= MAX_STEPS {
            return false;
        }
        if self.is_there(place) {
            return true;
        }
        let mut packed = Vec::new();
        if let Some(customer) = &place.customer {
            pack(customer, self.rules.rates.base(), &mut packed);
        }
        if !self.tried.insert((place.next, place.told, place.clock, place.mark, packed)) {
            return false;
        }
        if let Some(customer) = &place.customer
            && customer.rules_revision != self.rules.identity.revision
        {
            // Before anything else happens to it.
            return self.clocks_from(place).into_iter().any(|clock| self.judges(place, clock));
        }
        let deadline = place.customer.as_ref().map(|customer| customer.deadline);
        if deadline.is_some_and(|deadline| deadline <= self.clocks.1) && self.expires(place) {
            return true;
        }
        let mut heads: Vec<(Timestamp, usize)> = (0..3)
            .filter_map(|input| {
                self.events[input].get(place.next[input]).map(|timed| (timed.at, input))
            })
            .collect();
        heads.sort_unstable();
        heads.into_iter().any(|(_, input)| self.takes(place, input))
    }

    /// Everything was consumed and written.
    fn is_there(&self, place: &Place) -> bool {
        let consumed = (0..3).all(|input| place.next[input] == self.events[input].len());
        if !consumed || place.told < self.written.changes.len() {
            return false;
        }
        if !self.mark_is_there(place) {
            return false;
        }
        let Some(customer) = &place.customer else {
            // Of somebody unknown nothing is removed.
            let gone = self.before.state.map(|_| None);
            return self.written.state == gone && self.written.profile == gone;
        };
        let (mut packed, mut value) = (Vec::new(), Vec::new());
        pack(customer, self.rules.rates.base(), &mut packed);
        frame(&packed, &mut value);
        let state = match place.changed {
            true => self.written.state.flatten(),
            false => self.before.state,
        };
        if state != Some(value.as_slice()) || (!place.changed && self.written.state.is_some()) {
            return false;
        }
        let due = place.changed && (place.published || self.config.profiles_on_touch);
        if !due {
            return self.written.profile.is_none();
        }
        let shown = profile(customer, &self.rules, customer.evaluated_at);
        ProfileEncoder::new(OutputFormat::Json).encode(&shown, &mut value);
        self.written.profile == Some(Some(value.as_slice()))
    }

    /// The mark is what was written: it goes when its time is over, or some rounds later.
    fn mark_is_there(&self, place: &Place) -> bool {
        let is_left = |mark: Option<Timestamp>| match mark == self.before.mark {
            true => self.written.mark.is_none(),
            false => self.written.mark == Some(mark),
        };
        let is_over = place.mark.is_some_and(|until| until <= self.clocks.1);
        is_left(place.mark) || (is_over && is_left(None))
    }

    /// Where the clock may stand at a place.
    fn clocks_from(&self, place: &Place) -> Vec<Timestamp> {
        let later = self.hints.range(place.clock.plus_ms(1)..);
        let later = later.take_while(|clock| **clock <= self.clocks.1);
        std::iter::once(place.clock).chain(later.copied()).collect()
    }

    /// New rules judge the customer.
    fn judges(&mut self, place: &Place, clock: Timestamp) -> bool {
        let mut place = Place { clock, ..place.clone() };
        let Some(mut customer) = place.customer.take() else { return false };
        let (mut changes, mut unpublished) = (Vec::new(), Unpublished::default());
        let rules = self.rules.clone();
        let run_id = format!("rules-{}", rules.identity.revision);
        let context = Context { run_id: Some(&run_id), ..self.context(&rules, &place) };
        let published = reevaluate(&mut customer, &context, (&mut unpublished, &mut changes));
        (place.changed, place.published) = (true, place.published | published);
        place.customer = Some(customer);
        self.tells(&mut place, &changes) && self.leads_there(&place)
    }

    fn expires(&mut self, place: &Place) -> bool {
        let mut place = place.clone();
        let Some(mut customer) = place.customer.take() else { return false };
        place.clock = place.clock.max(customer.deadline);
        let mut changes = Vec::new();
        let rules = self.rules.clone();
        let context = self.context(&rules, &place);
        let published = expire(&mut customer, &context, &mut Tally::default(), &mut changes);
        (place.changed, place.published) = (true, place.published | published);
        place.customer = Some(customer);
        self.tells(&mut place, &changes) && self.leads_there(&place)
    }

    fn takes(&mut self, place: &Place, input: usize) -> bool {
        let timed = self.events[input][place.next[input]];
        let evaluated_at = place.customer.as_ref().map(|customer| customer.evaluated_at);
        let late = evaluated_at.is_some_and(|evaluated_at| timed.at < evaluated_at);
        let by_clock = matches!(
            timed.event.body,
            Body::Purchase(
                Purchase::OrderUpdated { .. }
                    | Purchase::OrderCancelled { .. }
                    | Purchase::OrderRefunded { .. }
            ) | Body::Interaction(
                Interaction::EraseRequested
                    | Interaction::ConsentChanged { .. }
                    | Interaction::Message { kind: MessageKind::Unsubscribed, .. }
            )
        );
        let clocks = match late || by_clock || place.mark.is_some() {
            true => self.clocks_from(place),
            false => vec![place.clock],
        };
        let (least, most) = self.before.erasures;
        clocks.into_iter().any(|clock| {
            if place.mark.is_some_and(|until| timed.at.max(clock) < until) {
                let mut dropped = Place { clock, ..place.clone() };
                dropped.next[input] += 1;
                return self.leads_there(&dropped);
            }
            match place.customer {
                Some(_) => self.takes_at(place, input, clock, 0),
                None => (least..=most).any(|it| self.takes_at(place, input, clock, it)),
            }
        })
    }

    fn takes_at(&mut self, place: &Place, input: usize, clock: Timestamp, life: u32) -> bool {
        let timed = self.events[input][place.next[input]];
        let mut place = Place { clock, ..place.clone() };
        let mut customer = place.customer.take().unwrap_or_else(|| {
            let mut new = Customer::new(self.id, timed.at, self.rules.identity.revision);
            new.incarnation = life;
            new
        });
        let mut changes = Vec::new();
        let rules = self.rules.clone();
        let context = self.context(&rules, &place);
        let topic = TOPICS[input].into();
        let cause = timed.cause(&topic, self.config.partition);
        let mut tally = Tally::default();
        place.next[input] += 1;
        match timed.event.body {
            Body::Interaction(Interaction::EraseRequested) => {
                let at = timed.at.max(clock).max(customer.evaluated_at);
                catch_up(&mut customer, at, &context, (&mut tally, &mut changes));
                let kind = CauseKind::Erase;
                close(&mut customer, at, kind, Some(&cause), &context, &mut changes);
                (place.changed, place.published) = (true, true);
                place.mark = Some(at.plus_ms(self.rules.erase_keep_ms));
            }
            _ => {
                let out = (&mut tally, &mut changes);
                let applied = apply(&mut customer, &timed.event, &cause, None, &context, out);
                place.changed |= applied.changed;
                place.published |= applied.published;
                place.customer = Some(customer);
            }
        }
        self.tells(&mut place, &changes) && self.leads_there(&place)
    }

    fn context<'c>(&self, rules: &'c Rules, place: &Place) -> Context<'c> {
        Context {
            rules,
            application_id: "simulation",
            lineage: 1,
            clock: place.clock,
            now: self.detected_at.get(place.told).copied().or(Some(place.clock)),
            silent: false,
            run_id: None,
            rebuilt_at: Timestamp::MIN,
        }
    }

    /// Whether these changes are the next ones that were written.
    fn tells(&mut self, place: &mut Place, changes: &[Change]) -> bool {
        let mut value = Vec::new();
        for change in changes {
            let Some(written) = self.written.changes.get(place.told) else { return false };
            self.encoder.encode(change, &mut value);
            let headers = headers(change);
            let same = written.headers.len() == headers.len()
                && written
                    .headers
                    .iter()
                    .zip(&headers)
                    .all(|(left, right)| left.0 == right.0 && left.1 == right.1);
            if written.value.as_deref() != Some(value.as_slice()) || !same {
                return false;
            }
            place.told += 1;
        }
        true
    }
}
