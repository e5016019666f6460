//! What one subject tells another, and what becomes of it there.
//!
//! To a subject of this partition it is told at once, to others through the relay. Only a
//! subject's own task sets its redirect and sends its state. Next: `events.rs`, the events;
//! `domain/relay.rs`, what can be told.

use crate::domain::absorb::absorb;
use crate::domain::apply::{amend, catch_up};
use crate::domain::change::CauseKind;
use crate::domain::customer::Customer;
use crate::domain::event::Event;
use crate::domain::facts::ties::Ties;
use crate::domain::id::{hash64, partition_of};
use crate::domain::mark::Mark;
use crate::domain::pack::{pack, unpack};
use crate::domain::publish::close::close;
use crate::domain::publish::context::CauseEvent;
use crate::domain::relay::{Relayed, Told, Why};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::events::{Standing, origin_of};
use crate::task::partition_task::{EventError, context};
use std::borrow::Cow;

/// A record of the relay on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The partition of the subject that it is for.
    pub partition: u32,
    /// What is told.
    pub relayed: Relayed<'static>,
}

impl PartitionTask {
    /// Takes in a record of the relay; `event` is the one in it, read.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn handle_relayed(
        &mut self,
        (input, offset): (usize, i64),
        relayed: Relayed<'_>,
        event: Option<&Event<'_>>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        self.position.inputs[input].next_offset = offset + 1;
        if !self.relay_moves_no_clock(now) {
            let state = &mut self.position.inputs[input];
            state.highest = state.highest.max(relayed.at);
        }
        self.hand_over(relayed, event, now)
    }

    /// The same without a record: from a task that goes in step with this one.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn hand_over(
        &mut self,
        relayed: Relayed<'_>,
        event: Option<&Event<'_>>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let relayed = match event {
            Some(_) => Some(relayed),
            None => self.queue(relayed),
        };
        match relayed {
            Some(relayed) => self.bring(relayed, event, now),
            None => self.settle(now),
        }
    }

    /// Takes what the subjects of this partition have told one another.
    pub(super) fn settle(&mut self, now: Option<Timestamp>) -> Result<(), EventError> {
        while let Some(relayed) = self.told_here.pop_front() {
            if let Some(relayed) = self.queue(relayed) {
                self.take(relayed, now)?;
            }
        }
        Ok(())
    }

    /// What the subjects of other partitions are told since the last call, in order.
    pub fn take_outgoing(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.outgoing.drain(..)
    }

    /// Whether subjects of other partitions are told something.
    #[must_use]
    pub const fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Tells a subject something.
    pub(super) fn tell(
        &mut self,
        to: &str,
        path: Vec<String>,
        at: Timestamp,
        cause: &CauseEvent<'_>,
        told: Told<'_>,
    ) {
        let to = to.to_owned();
        let relayed = Relayed { to, path, at, cause: origin_of(cause), told }.into_owned();
        self.send(relayed);
    }

    pub(super) fn send(&mut self, relayed: Relayed<'static>) {
        let partition = partition_of(&relayed.to, self.config.partitions);
        if partition == self.config.partition {
            self.told_here.push_back(relayed);
        } else {
            self.tally.relayed.sent[relayed.told.reason()] += 1;
            self.outgoing.push(Outgoing { partition, relayed });
        }
    }

    /// Tells by the event behind a cause, as of its time.
    pub(super) fn tell_by(&mut self, to: &str, cause: &CauseEvent<'_>, told: Told<'_>) {
        self.tell(to, Vec::new(), cause.effective_at, cause, told);
    }

    pub(super) fn tell_move(&mut self, who: &str, into: &str, why: Why, cause: &CauseEvent<'_>) {
        self.tell_by(who, cause, Told::Move { into: into.to_owned(), why });
    }

    /// Whoever sent something to a subject that was erased is to forget its id too.
    pub(super) fn tell_gone(
        &mut self,
        erased: &str,
        teller: Option<&String>,
        cause: &CauseEvent<'_>,
    ) {
        if let Some(teller) = teller {
            self.tell_by(teller, cause, Told::Erase { of: erased.to_owned() });
        }
    }

    /// Counts what has come to its subject.
    pub(super) fn arrived(&mut self, hops: usize) {
        self.tally.relayed.arrived += 1;
        self.tally.relayed.hops += hops as u64;
    }

    /// Brings what was told to its subject, which may have become another one.
    pub(super) fn take(
        &mut self,
        mut relayed: Relayed<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        match &relayed.told {
            Told::Follow { from, to } => {
                self.follow_another(&relayed.to, from, to);
                return Ok(());
            }
            Told::Erase { .. } if self.has_to_wait(&relayed.to, relayed.at)? => {
                return self.wait(relayed, now);
            }
            Told::Erase { of } => return self.erase_alias(&relayed, of, now),
            _ => {}
        }
        let (at, cause) = (relayed.at, relayed.cause.clone());
        let cause = cause.as_cause();
        if let Told::Move { into, why: Why::Known } = &relayed.told
            && let Some(Mark { to: Some(present), until }) =
                self.mark(&self.salted_id(&relayed.to), at)
        {
            if *present == **into {
                self.redirect(self.salted_id(&relayed.to), into, at, Some(until));
            } else {
                self.tally.relayed.shared_visitors += 1;
            }
            return Ok(());
        }
        match self.standing(&relayed.to, &relayed.path, at)? {
            Standing::Here => {}
            Standing::Moved(target) => {
                let gone = std::mem::replace(&mut relayed.to, target.into());
                relayed.path.push(gone);
                self.send(relayed.into_owned());
                return Ok(());
            }
            Standing::Erased => {
                self.tally.after_erase += 1;
                let teller = relayed.path.last();
                match &relayed.told {
                    // Nobody keeps the id of somebody erased as another one of their own.
                    Told::Move { into, why: Why::Merged } => {
                        let told = Told::Forget { id: relayed.to.clone() };
                        self.tell_by(into, &cause, told);
                    }
                    Told::Credit { from, .. } => {
                        for id in relayed.path.iter().chain([&relayed.to]) {
                            self.tell_by(from, &cause, Told::Forget { id: id.clone() });
                        }
                    }
                    Told::State(packed) => {
                        let source = unpack(packed, &self.config.rules.rates)?;
                        let ties = source.ties.map_or_else(Ties::default, |ties| *ties);
                        self.tell_forgotten(&source.id, ties, None, &cause);
                    }
                    _ => {}
                }
                self.tell_gone(&relayed.to, teller, &cause);
                return Ok(());
            }
        }
        if self.has_to_wait(&relayed.to, at)? {
            return self.wait(relayed, now);
        }
        self.arrived(relayed.path.len());
        let to = &relayed.to;
        match &relayed.told {
            Told::Move { into, .. } => {
                let is_one = into == to || relayed.path.contains(into);
                if !is_one {
                    self.depart(to, into, (at, &cause), now)?;
                }
                Ok(())
            }
            Told::State(packed) => self.take_over(&relayed, packed, &cause, now),
            Told::Referred { by } => self.be_referred(to, by, &cause, now),
            Told::Credit { from, minor } => {
                let what = |customer: &mut Customer| {
                    customer.ties.get_or_insert_default().brought(from, at, *minor);
                };
                if !relayed.path.is_empty() && self.store.deadline(to)?.is_none() {
                    // It has gone round in a circle, and the state is on its way back, too.
                    return self.amend_subject(to, at, (CauseKind::Event, &cause), now, what);
                }
                // Not as of then: events of its own from before may be still to come.
                self.amend_known(to, Timestamp::MIN, &cause, now, what)
            }
            Told::Forget { id } => self.forget(to, id, &cause, now),
            Told::Contact { was, now: hash, first_at, last_at } => {
                self.touch_told_of(to, at, at, now)?;
                let what = |customer: &mut Customer| {
                    let contacts = customer.contacts.get_or_insert_default();
                    contacts.renamed(*was, *hash, *first_at, *last_at);
                };
                self.amend_subject(to, at, (CauseKind::Event, &cause), now, what)
            }
            Told::Left { contact, at: elsewhere_at } => {
                self.touch_told_of(to, at, at, now)?;
                let what = |customer: &mut Customer| {
                    let contacts = customer.contacts.get_or_insert_default();
                    contacts.left(*contact, *elsewhere_at);
                };
                self.amend_subject(to, at, (CauseKind::Event, &cause), now, what)
            }
            Told::Event { .. } | Told::Follow { .. } | Told::Erase { .. } => Ok(()),
        }
    }

    /// Changes a subject otherwise than by an event of its own.
    fn amend_subject(
        &mut self,
        to: &str,
        at: Timestamp,
        (kind, cause): (CauseKind, &CauseEvent<'_>),
        now: Option<Timestamp>,
        what: impl FnOnce(&mut Customer),
    ) -> Result<(), EventError> {
        let place = self.touch_subject(to, at, now)?;
        let context = context(&self.config, self.lineage, &self.position, now);
        let touched = self.store.at(place);
        let before = touched.customer.deadline;
        let out = (&mut self.tally, &mut self.changes);
        let amendment = |customer: &mut Customer, _: &mut _| what(customer);
        let applied = amend(&mut touched.customer, at, (kind, cause), &context, out, amendment);
        touched.changed = true;
        touched.published |= applied.published && !context.silent;
        self.store.reschedule(place, before);
        Ok(())
    }

    /// The same of one that is known; nobody comes about by it.
    pub(super) fn amend_known(
        &mut self,
        to: &str,
        at: Timestamp,
        cause: &CauseEvent<'_>,
        now: Option<Timestamp>,
        what: impl FnOnce(&mut Customer),
    ) -> Result<(), EventError> {
        if self.store.deadline(to)?.is_none() {
            return Ok(());
        }
        self.amend_subject(to, at, (CauseKind::Event, cause), now, what)
    }

    /// A subject becomes another one: its state goes there, what arrives follows it.
    fn depart(
        &mut self,
        id: &str,
        into: &str,
        (at, cause): (Timestamp, &CauseEvent<'_>),
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        if Mutation::RedirectBeforeState.is_on() {
            // Whatever comes next finds the redirect, and the state is never sent.
            self.redirect(self.salted_id(id), into, at, None);
            return Ok(());
        }
        self.forget_visitor(id, at, now)?;
        if self.store.deadline(id)?.is_some() {
            let place = self.store.touch(id, at, 0, &self.config.rules)?;
            self.prepare(place, now);
            let context = context(&self.config, self.lineage, &self.position, now);
            let customer = &mut self.store.at(place).customer;
            let before = customer.deadline;
            catch_up(customer, at, &context, (&mut self.tally, &mut self.changes));
            let mut packed = Vec::with_capacity(512);
            pack(customer, self.config.rules.rates.base(), &mut packed);
            let closed_at = at.max(customer.evaluated_at);
            self.remove(place, before, closed_at, (CauseKind::Merge, Some(cause)), now);
            let state = || Told::State(Cow::Borrowed(&packed));
            if !Mutation::StateNotSent.is_on() {
                self.tell(into, vec![id.to_owned()], at, cause, state());
            }
            if Mutation::StateSentTwice.is_on() {
                self.tell(into, vec![id.to_owned()], at, cause, state());
            }
        }
        self.redirect(self.salted_id(id), into, at, None);
        self.follow(id, into);
        Ok(())
    }

    /// Removes a subject: what was told of it is closed.
    pub(super) fn remove(
        &mut self,
        place: usize,
        before: Timestamp,
        at: Timestamp,
        (kind, cause): (CauseKind, Option<&CauseEvent<'_>>),
        now: Option<Timestamp>,
    ) {
        let context = context(&self.config, self.lineage, &self.position, now);
        let touched = self.store.at(place);
        close(&mut touched.customer, at, kind, cause, &context, &mut self.changes);
        (touched.changed, touched.published, touched.erased) = (true, true, true);
        self.position.erasures = self.position.erasures.saturating_add(1);
        self.store.reschedule(place, before);
        self.touched = true;
    }

    /// A subject takes other ids and accounts out of the state of the one that became it, and tells
    /// those. That can be done before the state itself is taken over, for nobody's values depend on
    /// it but those of accounts.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub(super) fn take_ties(
        &mut self,
        relayed: &Relayed<'_>,
        source: &mut Customer,
        touched_at: Timestamp,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let (to, cause) = (&relayed.to, relayed.cause.as_cause());
        let mut theirs = Ties::default();
        if let Some(ties) = source.ties.as_deref_mut() {
            theirs.aliases = std::mem::take(&mut ties.aliases);
            theirs.memberships = std::mem::take(&mut ties.memberships);
        }
        let place = self.touch_subject(to, touched_at, now)?;
        let (aliases, memberships) = (theirs.aliases.clone(), theirs.memberships.clone());
        let ties = self.ties(place);
        ties.absorb(theirs);
        // Nobody is tied to themselves.
        ties.aliases.retain(|alias| alias.id != *to);
        // What comes back in a circle is nobody else's.
        let is_other = source.id != *to;
        if is_other {
            ties.know(&source.id, relayed.at);
        }
        for alias in aliases.iter().filter(|alias| is_other && alias.id != *to) {
            let told = Told::Follow { from: source.id.clone(), to: to.clone() };
            self.tell_by(&alias.id, &cause, told);
        }
        if Subject::of(to) == Subject::Customer {
            let is_customer = is_other && Subject::of(&source.id) == Subject::Customer;
            let was = is_customer.then(|| hash64(&source.id));
            for membership in memberships {
                let (first_at, last_at) = (membership.first_at, membership.last_at);
                let told = Told::Contact { was, now: hash64(to), first_at, last_at };
                self.tell_by(&membership.account, &cause, told);
            }
            self.tell_left(place, &cause);
        }
        Ok(())
    }

    /// A subject takes over all that was known of the one that became it.
    fn take_over(
        &mut self,
        relayed: &Relayed<'_>,
        packed: &[u8],
        cause: &CauseEvent<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let (to, at) = (&relayed.to, relayed.at);
        let mut source = unpack(packed, &self.config.rules.rates)?;
        self.take_ties(relayed, &mut source, at, now)?;
        let theirs = source.ties.take().map_or_else(Ties::default, |ties| *ties);
        let place = self.touch_subject(to, at, now)?;
        let source_id = std::mem::take(&mut source.id);
        let context = context(&self.config, self.lineage, &self.position, now);
        let touched = self.store.at(place);
        let before = touched.customer.deadline;
        let mut lost = None;
        let amendment = |customer: &mut Customer, tally: &mut _| {
            absorb(customer, source, context.rules, tally);
            lost = customer.ties.get_or_insert_default().absorb(theirs);
        };
        let out = (&mut self.tally, &mut self.changes);
        let kind = (CauseKind::Merge, cause);
        let applied = amend(&mut touched.customer, at, kind, &context, out, amendment);
        touched.changed = true;
        touched.published |= applied.published && !context.silent;
        self.store.reschedule(place, before);
        let lost_id = lost.as_ref().map(|lost| lost.id.clone());
        self.take_back(lost, cause, to);
        if let Some(lost_id) = lost_id {
            for id in [&source_id, to] {
                self.tell_by(&lost_id, cause, Told::Forget { id: id.clone() });
            }
        }
        self.tell_credit(place, cause);
        Ok(())
    }

    /// Whoever followed one subject follows another one.
    fn follow_another(&mut self, alias: &str, from: &str, to: &str) {
        let id = self.salted_id(alias);
        if let Some(mark) = self.marks.get(&id)
            && mark.to.as_deref() == Some(from)
            && alias != to
        {
            self.marks.set(id, Mark { to: Some(to.into()), ..mark });
        }
    }
}
