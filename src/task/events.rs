//! Events to their subjects: to this partition's own at once, to others through the relay.
//!
//! Whoever is gone is followed, or nobody is told. Next: `relay.rs`, what else subjects tell one
//! another; `domain/apply.rs`, what an event does.

use crate::domain::apply::{Applied, apply};
use crate::domain::change::CauseKind;
use crate::domain::event::{Body, Event, Interaction};
use crate::domain::id::{ACCOUNT_PREFIX, hash64, partition_of, salted_id};
use crate::domain::mark::{Mark, SaltedId};
use crate::domain::publish::context::CauseEvent;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::relay::{EventOrigin, MAX_PATH, Relayed, Told};
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::partition_task::{EventError, EventRecord, context};
use crate::task::ties::visitor_id;
use std::borrow::Cow;

/// A redirect that is used lasts longer, but is written at most this often, in ms.
const REDIRECT_STEP_MS: i64 = DAY_MS;

/// An event on its way to its subject.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) event: &'a Event<'a>,
    pub(super) cause: CauseEvent<'a>,
    /// The input that its record came in with, and the record's value.
    pub(super) input: usize,
    pub(super) value: &'a [u8],
    /// Whom it names were told already.
    pub(super) tied: bool,
}

impl Arrival<'_> {
    /// The event for a subject, after those that it went through.
    fn relayed(&self, to: &str, path: Vec<String>) -> Relayed<'static> {
        let value = Cow::Borrowed(self.value);
        let (at, cause) = (self.cause.effective_at, origin_of(&self.cause));
        let told = Told::Event { input: self.input, tied: self.tied, value };
        Relayed { to: to.to_owned(), path, at, cause, told }.into_owned()
    }
}

/// What the marks say of a subject.
pub(super) enum Standing {
    /// It is here, or may be.
    Here,
    /// It became another one.
    Moved(Box<str>),
    /// It was erased.
    Erased,
}

impl PartitionTask {
    /// Applies an event, or relays it.
    ///
    /// # Errors
    /// A refusal when the keys are trusted and the record is in another partition than its
    /// subject's; its record is a dead letter, and the input has moved on.
    pub fn handle_event(
        &mut self,
        record: &EventRecord<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let state = &mut self.position.inputs[record.input];
        state.next_offset = record.offset + 1;
        state.highest = state.highest.max(record.at);
        self.touched = true;
        let event = record.event;
        let subject_id = event.subject_id();
        if self.config.keys_are_trusted {
            self.check_home(&subject_id, event)?;
        }
        let origin = (record.topic, self.config.partition, record.offset);
        let cause = CauseEvent::of(event, record.at, origin);
        let (input, value) = (record.input, record.value);
        let arrival = Arrival { event, cause, input, value, tied: false };
        let left = self.outgoing.len() + self.room.len();
        self.arrive(subject_id, Vec::new(), &arrival, now)?;
        self.settle(now)?;
        if self.outgoing.len() + self.room.len() > left {
            self.goes_ahead(record.at);
        }
        Ok(())
    }

    /// The key of a visitor's event may be the bare id: it is sent on to the subject's partition.
    fn check_home(&self, subject_id: &str, event: &Event<'_>) -> Result<(), EventError> {
        let home = partition_of(subject_id, self.config.partitions);
        let bare = event.anonymous_id.as_deref().filter(|_| event.customer_id.is_none());
        let is_here = |id: &str| partition_of(id, self.config.partitions) == self.config.partition;
        if self.is_home_of(subject_id) || bare.is_some_and(is_here) {
            return Ok(());
        }
        let detail = format!(
            "the subject belongs to partition {home}, the record is in partition {}; hint: the \
             record's key must be its customer id, placed by murmur2 \
             (partitioner=murmur2_random in producers on librdkafka), or set input.key = \"any\"",
            self.config.partition
        );
        Err(EventError::Refused(Refusal::new(Reason::Misrouted, detail)))
    }

    /// Brings an event to its subject, or on its way there.
    pub(super) fn arrive(
        &mut self,
        subject_id: Cow<'_, str>,
        mut path: Vec<String>,
        arrival: &Arrival<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let mut to = subject_id;
        while self.is_home_of(&to) {
            match self.standing(&to, &path, arrival.cause.effective_at)? {
                Standing::Here => {
                    let at = arrival.cause.effective_at;
                    if self.room.waits_before(&to, at) || self.has_to_wait(&to, at)? {
                        let tied = arrival.tied || self.tie_waiting(&to, arrival, now)?;
                        let relayed = Arrival { tied, ..*arrival }.relayed(&to, path);
                        self.put(relayed);
                        return Ok(());
                    }
                    self.arrived(path.len());
                    return self.deliver(&to, &path, arrival, now);
                }
                Standing::Erased => {
                    self.tally.after_erase += 1;
                    self.tell_gone(&to, path.last(), &arrival.cause);
                    return Ok(());
                }
                Standing::Moved(target) => {
                    path.push(to.into_owned());
                    to = Cow::Owned(target.into());
                }
            }
        }
        self.send(arrival.relayed(&to, path));
        Ok(())
    }

    pub(super) fn is_home_of(&self, subject_id: &str) -> bool {
        partition_of(subject_id, self.config.partitions) == self.config.partition
    }

    pub(super) fn salted_id(&self, subject_id: &str) -> SaltedId {
        salted_id(&self.config.rules.fold.erase_salt, subject_id)
    }

    /// The mark of a subject, as long as it holds.
    pub(super) fn mark(&self, id: &SaltedId, at: Timestamp) -> Option<Mark> {
        self.marks.get(id).filter(|mark| at.max(self.timer_clock()) < mark.until)
    }

    /// What the marks say of a subject to whom something came along a path. Where a path has come
    /// back to a subject, the least of those it goes round takes it: its redirect ends.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub(super) fn standing(
        &mut self,
        to: &str,
        path: &[String],
        at: Timestamp,
    ) -> Result<Standing, EventError> {
        // Whoever has a state is here: it goes when a mark is set, and a redirect ends before it
        // comes back.
        if self.marks.is_empty()
            || Subject::of(to) == Subject::Account
            || self.store.deadline(to)?.is_some()
        {
            return Ok(Standing::Here);
        }
        let id = self.salted_id(to);
        Ok(match self.mark(&id, at) {
            None => Standing::Here,
            Some(Mark { to: None, .. }) => Standing::Erased,
            Some(Mark { to: Some(target), .. }) if ends_at(to, &target, path) => {
                self.marks.remove(id);
                Standing::Here
            }
            Some(Mark { to: Some(target), until }) => {
                self.redirect(id, &target, at, Some(until));
                Standing::Moved(target)
            }
        })
    }

    /// Lets a subject be followed, from now on as long as configured, or from `at` where no clock
    /// has come that far; one that is followed already, until `present`, is written again only
    /// where that makes a difference.
    pub(super) fn redirect(
        &mut self,
        id: SaltedId,
        target: &str,
        at: Timestamp,
        present: Option<Timestamp>,
    ) {
        let until = self.clock().max(at).plus_ms(self.config.rules.keep_redirects_ms);
        if present.is_none_or(|present| until.since(present) >= REDIRECT_STEP_MS) {
            self.marks.set(id, Mark { until, to: Some(target.into()) });
            self.touched = true;
        }
    }

    /// Applies an event to a subject of this partition.
    fn deliver(
        &mut self,
        to: &str,
        path: &[String],
        arrival: &Arrival<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let Arrival { event, cause, .. } = arrival;
        let at = cause.effective_at;
        if matches!(event.body, Body::Interaction(Interaction::EraseRequested)) {
            let visitor = event.anonymous_id.as_deref().map(visitor_id);
            let visitor = visitor.filter(|visitor| visitor != to);
            return self.erase(to, visitor, at, cause, now);
        }
        if Subject::of(to) == Subject::Account {
            let person = path.last().filter(|person| Subject::of(person) == Subject::Customer);
            self.apply_to(to, arrival, person.map(|person| hash64(person)), now)?;
            return Ok(());
        }
        let feeds = self.config.rules.feeds(event);
        let place = if feeds.person {
            let (place, applied) = self.apply_to(to, arrival, None, now)?;
            if !applied.taken {
                return Ok(());
            }
            place
        } else {
            let place = self.touch_subject(to, at, now)?;
            let touched = self.store.at(place);
            let before = touched.customer.deadline;
            let forget_at = touched.customer.forget_at(self.config.rules.keep_visitors_ms);
            touched.customer.deadline = before.min(forget_at);
            touched.changed |= forget_at < before;
            self.store.reschedule(place, before);
            place
        };
        if matches!(event.body, Body::Purchase(_)) {
            self.tell_credit(place, cause);
        }
        if arrival.tied {
            // They know; the subject may be another one than when they were told.
            self.remember(place, event, at);
            if let (Some(account), Some(Subject::Visitor), Subject::Customer) = (
                event.account_id.as_deref(),
                path.last().map(|from| Subject::of(from)),
                Subject::of(to),
            ) {
                self.tell_contact(&format!("{ACCOUNT_PREFIX}{account}"), to, cause);
                self.tell_left(place, cause);
            }
            return Ok(());
        }
        self.tie_all(place, to, arrival, now)
    }

    /// Tells whom an event names, before the event itself is applied: nobody elsewhere has to wait
    /// for it. False where only the event itself says what they are told.
    fn tie_waiting(
        &mut self,
        to: &str,
        arrival: &Arrival<'_>,
        now: Option<Timestamp>,
    ) -> Result<bool, EventError> {
        let erases = Body::Interaction(Interaction::EraseRequested);
        if Subject::of(to) == Subject::Account || arrival.event.body == erases {
            return Ok(false);
        }
        if self.room.has_event(to, &arrival.cause) {
            return Ok(true);
        }
        let place = self.touch_subject(to, Timestamp::MIN, now)?;
        self.tie_all(place, to, arrival, now)?;
        Ok(true)
    }

    /// Tells all whom an event names: persons, and the account.
    fn tie_all(
        &mut self,
        place: usize,
        to: &str,
        arrival: &Arrival<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let Arrival { event, cause, .. } = arrival;
        self.tie(place, event, cause);
        let Some(account) = event.account_id.as_deref() else { return Ok(()) };
        let account = format!("{ACCOUNT_PREFIX}{account}");
        if self.config.rules.feeds(event).account {
            return self.arrive(Cow::Owned(account), vec![to.to_owned()], arrival, now);
        }
        if Subject::of(to) == Subject::Customer {
            self.tell_contact(&account, to, cause);
        }
        Ok(())
    }

    /// Tells an account that a customer is a contact of it, as of an event.
    fn tell_contact(&mut self, account: &str, customer: &str, cause: &CauseEvent<'_>) {
        let (first_at, last_at) = (cause.effective_at, cause.effective_at);
        let told = Told::Contact { was: None, now: hash64(customer), first_at, last_at };
        self.tell_by(account, cause, told);
    }

    /// The place of a subject, known or new, before anything else is done to it.
    pub(super) fn touch_subject(
        &mut self,
        to: &str,
        at: Timestamp,
        now: Option<Timestamp>,
    ) -> Result<usize, EventError> {
        self.forget_visitor(to, at, now)?;
        // Whoever was gone and comes back is somebody else, when no mark tells any more too.
        let incarnation = self.position.erasures;
        let place = self.store.touch(to, at, incarnation, &self.config.rules)?;
        if !Mutation::EventsBeforeNewRules.is_on() {
            self.prepare(place, now);
        }
        let touched = self.store.at(place);
        let before = touched.customer.heard_at;
        touched.customer.hear(at);
        touched.changed |= touched.customer.heard_at != before;
        Ok(place)
    }

    /// A visitor whose time is over by then is forgotten, if the timers have not come to it yet.
    pub(super) fn forget_visitor(
        &mut self,
        id: &str,
        at: Timestamp,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        if Subject::of(id) != Subject::Visitor || self.store.deadline(id)?.is_none() {
            return Ok(());
        }
        let place = self.store.touch(id, at, 0, &self.config.rules)?;
        let customer = &self.store.at(place).customer;
        let (before, end) =
            (customer.deadline, customer.forget_at(self.config.rules.keep_visitors_ms));
        if end <= at {
            self.tally.relayed.forgotten_visitors += 1;
            self.remove(place, before, end, (CauseKind::Timer, None), now);
        }
        Ok(())
    }

    fn apply_to(
        &mut self,
        to: &str,
        arrival: &Arrival<'_>,
        contact: Option<u64>,
        now: Option<Timestamp>,
    ) -> Result<(usize, Applied), EventError> {
        let Arrival { event, cause, .. } = arrival;
        let place = self.touch_subject(to, cause.effective_at, now)?;
        let context = context(&self.config, self.lineage, &self.position, now);
        let touched = self.store.at(place);
        let before = touched.customer.deadline;
        let out = (&mut self.tally, &mut self.changes);
        let applied = apply(&mut touched.customer, event, cause, contact, &context, out);
        if applied.changed && event.is_order() {
            let latest = &mut self.position.latest_order_at;
            *latest = (*latest).max(Some(cause.effective_at));
        }
        touched.changed |= applied.changed;
        touched.published |= applied.published && !context.silent;
        self.store.reschedule(place, before);
        Ok((place, applied))
    }

    /// Whether a refused record is of somebody erased, whom one of these ids names: nothing of it
    /// may be kept, in dead letters neither. Counts it like other events of them.
    pub fn is_of_erased(&mut self, id: &str) -> bool {
        let mark = self.mark(&self.salted_id(id), Timestamp::MIN);
        let of_erased = mark.is_some_and(|mark| mark.to.is_none());
        self.tally.after_erase += u64::from(of_erased);
        of_erased
    }
}

/// Whether a path ends at a subject that it would be forwarded from: it has come back there, would
/// go the same way again, and nobody it goes round has a lesser id; or it is as long as paths may
/// be.
fn ends_at(to: &str, target: &str, path: &[String]) -> bool {
    let goes_round = |last: usize| {
        let round = &path[last..];
        round.get(1).is_some_and(|next| next == target) && round.iter().all(|id| &**id >= to)
    };
    let came_back = path.iter().rposition(|id| id == to);
    (came_back.is_some_and(goes_round) && !Mutation::PathNotChecked.is_on())
        || path.len() >= MAX_PATH
}

/// An event's origin, for what it brings about elsewhere.
pub(super) fn origin_of(cause: &CauseEvent<'_>) -> EventOrigin {
    let (topic, partition, offset) = cause.origin;
    EventOrigin {
        event_id: cause.event_id.to_owned(),
        occurred_at: cause.occurred_at,
        at: cause.effective_at,
        topic: topic.clone(),
        partition,
        offset,
    }
}
