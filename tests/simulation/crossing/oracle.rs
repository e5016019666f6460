//! What must be true of a crossing run's end: one subject is left of ids that are one, with the
//! facts of all of their events; accounts know their contacts, referrers what was bought.
//!
//! Of who was erased only that nothing is left; who is tied to them is left out elsewhere.
//! Next: `naive.rs`, what the events say; `told.rs`, the changes.

use crate::simulation::crossing::naive::{Identity, SHARED, folded, once, referrers};
use crate::simulation::crossing::workload::{ACCOUNTS, NEVER, referrer};
use crate::simulation::oracle::{Check, ensure, last_by_key, shown};
use crate::simulation::outcome::Partition;
use crate::simulation::reference::{Timed, read};
use ebbflow::codec::state::{StateKey, decode_mark, decode_progress, parse_key, unframe};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Interaction};
use ebbflow::domain::facts::order_facts::OrderFacts;
use ebbflow::domain::id::{ACCOUNT_PREFIX, hash64, partition_of, salted_id};
use ebbflow::domain::mark::{Mark, SaltedId};
use ebbflow::domain::pack::unpack;
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::{BTreeMap, BTreeSet};

/// Days after which an interaction is no longer scored (contract, section 3: a week is kept).
const SCORED_DAYS: i64 = 7;
/// Places of dimensions that hang on arrival, or on the hash of who was a contact when.
const ENGAGEMENT: usize = 5;
const CONTACTS: usize = 8;

/// What the topics hold at the end.
struct Left {
    states: BTreeMap<String, Customer>,
    marks: BTreeMap<SaltedId, Mark>,
    profiles: BTreeSet<Vec<u8>>,
    latest: Timestamp,
}

/// The events of every partition that could be read, by partition.
pub(crate) fn all_events<'a>(outcome: &'a [Partition], config: &TaskConfig) -> Vec<Timed<'a>> {
    let read_of = |(partition, records)| read(partition, config.partitions, records).0;
    (0..).zip(outcome).flat_map(read_of).flatten().collect()
}

/// What the events of an outcome say of ids.
pub(crate) fn identity(outcome: &[Partition], config: &TaskConfig) -> Identity {
    let mut identity = Identity::default();
    all_events(outcome, config).iter().for_each(|timed| identity.add(timed));
    identity
}

fn left(outcome: &[Partition], config: &TaskConfig) -> Result<Left, String> {
    let (mut states, mut marks) = (BTreeMap::new(), BTreeMap::new());
    let (mut profiles, mut latest) = (BTreeSet::new(), Timestamp::MIN);
    for (partition, records) in (0..).zip(outcome) {
        let (mut customers, mut gone) = (0, 0);
        let kept: Vec<_> = records.marks_before.iter().chain(&records.states).cloned().collect();
        let last = last_by_key(&kept);
        for (key, value) in &last {
            match parse_key(key).map_err(|error| error.to_string())? {
                StateKey::Customer(id) => {
                    customers += 1;
                    let packed = unframe(value).map_err(|error| error.to_string())?;
                    let customer = unpack(packed, &config.rules.rates);
                    let customer = customer.map_err(|error| error.to_string())?;
                    latest = latest.max(customer.evaluated_at);
                    ensure(partition_of(id, config.partitions) == partition, || {
                        format!("{id} does not belong into partition {partition}")
                    })?;
                    states.insert(id.to_owned(), customer);
                }
                StateKey::Erased(id) => {
                    gone += 1;
                    marks.insert(id, decode_mark(value).map_err(|error| error.to_string())?);
                }
                StateKey::Waiting(_) => {
                    return Err(format!("partition {partition}: something still waits"));
                }
                StateKey::Progress => {
                    let progress = decode_progress(value).map_err(|error| error.to_string())?;
                    latest = latest.max(progress.clock);
                }
            }
        }
        for (key, value) in &last {
            if parse_key(key) == Ok(StateKey::Progress) {
                let progress = decode_progress(value).map_err(|error| error.to_string())?;
                let counted = (progress.customers, progress.erased);
                ensure(counted == (customers, gone), || {
                    format!("partition {partition}: {customers}, {gone} and not {counted:?}")
                })?;
            }
        }
        profiles.extend(last_by_key(&records.profiles).into_keys());
    }
    Ok(Left { states, marks, profiles, latest })
}

impl Left {
    fn mark(&self, id: &str, config: &TaskConfig) -> Option<&Mark> {
        self.marks.get(&salted_id(&config.rules.fold.erase_salt, id))
    }

    /// Whom an id is known as: itself, or whom it became.
    fn whoever(&self, id: &str, config: &TaskConfig) -> Result<String, String> {
        let mut at = id.to_owned();
        for _ in 0..50 {
            match self.mark(&at, config).and_then(|mark| mark.to.clone()) {
                Some(to) => at = to.into(),
                None => return Ok(at),
            }
        }
        Err(format!("{id} goes in a circle"))
    }
}

/// What the naive model and the topics say, side by side.
struct Compared<'a> {
    config: &'a TaskConfig,
    rules: &'a Rules,
    left: Left,
    events: Vec<&'a Timed<'a>>,
    /// By id, whom it is known as.
    whoever: BTreeMap<String, String>,
    /// Survivors of whom something was erased.
    left_out: BTreeSet<String>,
}

/// Everything at the end; `ever` is what was ever said of ids, by events that are gone too.
pub(crate) fn check_end(outcome: &[Partition], ever: &Identity, config: &TaskConfig) -> Check {
    let all = all_events(outcome, config);
    let events = once(all.iter().collect());
    let mut now = Identity::default();
    events.iter().for_each(|timed| now.add(timed));
    let left = left(outcome, config)?;
    let mut whoever = BTreeMap::new();
    for id in &ever.ids {
        whoever.insert(id.clone(), left.whoever(id, config)?);
    }
    let rules = &config.rules;
    let left_out = BTreeSet::new();
    let mut compared = Compared { config, rules, left, events, whoever, left_out };
    compared.check_classes(&now, ever)?;
    compared.check_erased(ever)?;
    compared.check_subjects()?;
    compared.check_accounts()?;
    compared.check_referrers()?;
    compared.check_known(ever)
}

impl<'a> Compared<'a> {
    fn of(&self, id: &str) -> String {
        self.whoever.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    /// One is left of each class, and it is one of them.
    fn check_classes(&mut self, now: &Identity, ever: &Identity) -> Check {
        let mut classes = ever.classes.clone();
        // Whose a shared visitor is depends on who was heard of first.
        if !ever.sharing.is_empty() && ever.ids.contains(SHARED) {
            let owner = self.of(SHARED);
            let is_one = |id: &String| classes.of(id) == classes.of(&owner);
            let erased = ever.sharing.iter().any(|id| is_erased(id, ever));
            let nobody = now.sharing.is_empty() && owner == SHARED;
            ensure(erased || nobody || ever.sharing.iter().any(is_one), || {
                format!("{owner} has the device of {:?}", ever.sharing)
            })?;
            classes.unite(&owner, SHARED);
            if erased && owner == SHARED {
                self.left_out.insert(owner);
            }
        }
        for id in &ever.ids {
            let survivor = self.of(id);
            if is_erased(id, ever) {
                self.left_out.extend([survivor, id.clone()]);
                continue;
            }
            ensure(classes.of(&survivor) == classes.of(id), || {
                format!("{id} is {survivor}, with whom it has nothing to do")
            })?;
        }
        for id in now.ids.iter().filter(|id| !is_erased(id, ever) && **id != SHARED) {
            let class = now.classes.of(id);
            let (one, other) = (self.of(id), self.of(&class));
            ensure(one == other, || {
                let of_class =
                    |timed: &&&Timed<'_>| now.classes.of(&timed.event.subject_id()) == class;
                let events = self.events.iter().filter(of_class);
                let events: Vec<_> = events.map(|it| (it.at, it.offset, &it.event)).collect();
                format!("{id} is {one}, and {class} is {other}: {events:?}")
            })?;
        }
        Ok(())
    }

    /// Nothing is left of who was erased. Somebody who was never seen, and became one of them by way
    /// of others, may lead there until it is.
    fn check_erased(&self, ever: &Identity) -> Check {
        for id in &ever.erased {
            let leads_there = |other: &&String| {
                let mark = self.left.mark(other, self.config);
                mark.is_some_and(|mark| mark.to.as_deref() == Some(id))
            };
            let seen = ever.ids.iter().filter(|other| !other.starts_with(NEVER));
            let leads: Vec<&String> = seen.filter(leads_there).collect();
            let state = self.left.states.get(id);
            let shown = self.left.profiles.contains(id.as_bytes());
            ensure(leads.is_empty() && state.is_none() && !shown, || {
                format!("{id} was erased, and there are {state:?}, a profile {shown}, {leads:?}")
            })?;
        }
        Ok(())
    }

    /// Facts and raw values of everybody who is left.
    fn check_subjects(&self) -> Check {
        let mut by_survivor: BTreeMap<String, Vec<&Timed<'_>>> = BTreeMap::new();
        for timed in &self.events {
            by_survivor.entry(self.of(&timed.event.subject_id())).or_default().push(timed);
        }
        for (id, events) in &by_survivor {
            if self.left_out.contains(id) {
                continue;
            }
            let fed: Vec<_> =
                events.iter().copied().filter(|it| self.rules.feeds(&it.event).person).collect();
            self.check_subject(id, &fed)?;
            let accepts = |timed: &&&Timed<'_>| {
                let body = &timed.event.body;
                matches!(body, Body::Interaction(Interaction::ReferralAccepted { .. }))
            };
            let accepted = u32::try_from(events.iter().filter(accepts).count()).unwrap();
            let ties = self.left.states.get(id).and_then(|customer| customer.ties.as_deref());
            let known = ties.map_or(0, |ties| ties.accepted);
            ensure(known == accepted, || format!("{id} has {known} of {accepted} referrals"))?;
        }
        Ok(())
    }

    fn check_subject(&self, id: &str, events: &[&Timed<'_>]) -> Check {
        let Some(customer) = self.left.states.get(id) else {
            return Err(format!("{id} has {} events and no state", events.len()));
        };
        let naive = folded(id, events.iter().copied(), self.rules);
        let latest = events.iter().map(|timed| timed.at).fold(self.left.latest, Timestamp::max);
        let (ours, theirs) =
            (measure(customer, self.rules, latest), measure(&naive, self.rules, latest));
        let mut values = (ours.values, theirs.values);
        let days = events.iter().map(|timed| timed.at.day().0);
        let span = days.clone().max().zip(days.min()).map_or(0, |(most, least)| most - least);
        if span >= SCORED_DAYS {
            values.0[ENGAGEMENT] = values.1[ENGAGEMENT];
        }
        values.0[CONTACTS] = values.1[CONTACTS];
        let facts = |customer: &Customer| {
            let interactions = customer.interactions.as_deref();
            (
                interactions.map(|it| (it.total, it.contact_at)),
                customer.signals.clone(),
                customer.spending.clone(),
                customer.surveys.clone(),
                customer.meddic.clone(),
                customer.traits.clone(),
                customer.consent.clone(),
            )
        };
        ensure(ours.facts == theirs.facts && values.0 == values.1, || {
            format!(
                "{id} is\n  {:?} {:?}\nand not\n  {:?} {:?}",
                ours.facts, values.0, theirs.facts, values.1
            )
        })?;
        let (ours, theirs) = (facts(customer), facts(&naive));
        ensure(ours == theirs, || format!("{id} has\n  {ours:?}\nand not\n  {theirs:?}"))
    }

    fn check_accounts(&self) -> Check {
        for account in ACCOUNTS {
            let id = format!("{ACCOUNT_PREFIX}{account}");
            let named = |timed: &&&Timed<'_>| timed.event.account_id.as_deref() == Some(account);
            let events: Vec<_> = self.events.iter().filter(named).copied().collect();
            let of_erased =
                |timed: &&Timed<'_>| self.left_out.contains(&self.of(&timed.event.subject_id()));
            if events.iter().any(of_erased) {
                continue;
            }
            let fed: Vec<_> =
                events.iter().copied().filter(|it| self.rules.feeds(&it.event).account).collect();
            match self.left.states.get(&id) {
                Some(subject) => {
                    self.check_subject(&id, &fed)?;
                    self.check_contacts(account, subject)?;
                }
                None => ensure(fed.is_empty(), || format!("{id} is not known"))?,
            }
        }
        Ok(())
    }

    fn check_contacts(&self, account: &str, subject: &Customer) -> Check {
        let mut expected: BTreeMap<u64, (Timestamp, Timestamp)> = BTreeMap::new();
        let mut elsewhere: BTreeMap<u64, Timestamp> = BTreeMap::new();
        for timed in self.events.iter().filter(|timed| timed.event.account_id.is_some()) {
            let id = self.of(&timed.event.subject_id());
            if Subject::of(&id) != Subject::Customer {
                continue;
            }
            let hash = hash64(&id);
            if timed.event.account_id.as_deref() == Some(account) {
                let times = expected.entry(hash).or_insert((timed.at, timed.at));
                *times = (times.0.min(timed.at), times.1.max(timed.at));
            } else {
                let last = elsewhere.entry(hash).or_insert(timed.at);
                *last = (*last).max(timed.at);
            }
        }
        let contacts = subject.contacts.as_deref().map_or(&[][..], |it| &it.list);
        let found: BTreeMap<u64, (Timestamp, Timestamp)> =
            contacts.iter().map(|it| (it.hash, (it.first_at, it.last_at))).collect();
        ensure(found == expected, || format!("{account} has {found:?} and not {expected:?}"))?;
        for contact in contacts {
            let left = elsewhere.get(&contact.hash).is_some_and(|at| *at > contact.last_at);
            ensure(contact.has_left() == left, || format!("{contact:?} of {account}"))?;
        }
        Ok(())
    }

    /// Each referrer has what those bought whom it was the first to refer.
    fn check_referrers(&self) -> Check {
        let whoever = |id: &str| self.of(id);
        let mut revenue: BTreeMap<String, i64> = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (who, by) in referrers(&self.events, &whoever) {
            let by = self.of(&by);
            if self.left_out.contains(&who) {
                unknown.insert(by);
                continue;
            }
            let of = |timed: &&&Timed<'_>| self.of(&timed.event.subject_id()) == who;
            let events = self.events.iter().filter(of).copied();
            let fed = events.filter(|it| self.rules.feeds(&it.event).person);
            let naive = folded(&who, fed, self.rules);
            *revenue.entry(by).or_default() +=
                OrderFacts::of(&naive.book, &self.rules.rates).net_minor;
        }
        for referrer in [referrer(0), referrer(1)].map(|id| self.of(&id)) {
            let state = self.left.states.get(&referrer);
            let ties = state.and_then(|customer| customer.ties.as_deref());
            let known = ties.map_or(0, |ties| ties.referred_revenue_minor);
            let expected = revenue.get(&referrer).copied().unwrap_or(0);
            ensure(known == expected || unknown.contains(&referrer), || {
                format!("{referrer} is credited with {known} and not {expected}")
            })?;
        }
        Ok(())
    }

    /// Nobody else is known.
    fn check_known(&self, ever: &Identity) -> Check {
        let mut named: BTreeSet<String> = ever.ids.iter().map(|id| self.of(id)).collect();
        for timed in &self.events {
            let named_by = match &timed.event.body {
                Body::Interaction(Interaction::ReferralAccepted { referred_customer_id }) => {
                    referred_customer_id.as_deref()
                }
                _ => None,
            };
            named.extend(named_by.map(|id| self.of(id)));
        }
        for id in self.left.states.keys() {
            let is_account = Subject::of(id) == Subject::Account;
            ensure(is_account || named.contains(id), || format!("{id} is known"))?;
        }
        let states = |id: &[u8]| {
            let id = shown(Some(id));
            self.left.states.contains_key(&id)
        };
        match self.left.profiles.iter().find(|id| !states(id)) {
            Some(id) => Err(format!("a profile of {} is left", shown(Some(id)))),
            None => Ok(()),
        }
    }
}

fn is_erased(id: &str, ever: &Identity) -> bool {
    let class = ever.classes.of(id);
    ever.erased.iter().any(|erased| ever.classes.of(erased) == class)
}
