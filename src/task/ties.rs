//! Whom a subject is tied to, and what those are told: visitors, accounts, who brought it.
//!
//! Never part of what the subject's own values are measured by. Next: `domain/facts/ties.rs`, what
//! is kept; `relay.rs`, what becomes of what is told.

use crate::domain::customer::Customer;
use crate::domain::event::{Body, Event, Interaction};
use crate::domain::facts::ties::{Referrer, Ties};
use crate::domain::id::{ACCOUNT_PREFIX, ANONYMOUS_PREFIX, EventKey, hash64};
use crate::domain::publish::context::CauseEvent;
use crate::domain::relay::{Told, Why};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use crate::task::PartitionTask;
use crate::task::partition_task::EventError;

impl PartitionTask {
    /// Tells the others what an event says of whom its subject is tied to.
    pub(super) fn tie(&mut self, place: usize, event: &Event<'_>, cause: &CauseEvent<'_>) {
        let names_others = matches!(
            event.body,
            Body::Interaction(
                Interaction::CustomersMerged { .. } | Interaction::ReferralAccepted { .. }
            )
        );
        let names_visitor = event.customer_id.is_some() && event.anonymous_id.is_some();
        if !names_others && !names_visitor && event.account_id.is_none() {
            return;
        }
        let at = cause.effective_at;
        let id = self.store.at(place).customer.id.clone();
        if let Some(anonymous_id) = event.anonymous_id.as_deref().filter(|_| names_visitor) {
            let visitor = visitor_id(anonymous_id);
            if self.ties(place).know(&visitor, at) {
                self.tell_move(&visitor, &id, Why::Known, cause);
            }
        }
        if let Some(account) = event.account_id.as_deref() {
            self.ties(place).join(&format!("{ACCOUNT_PREFIX}{account}"), at, at);
            if Subject::of(&id) == Subject::Customer {
                self.tell_left(place, cause);
            }
        }
        match &event.body {
            Body::Interaction(Interaction::CustomersMerged { from_customer_id: from })
                if **from != *id =>
            {
                self.ties(place).know(from, at);
                self.tell_move(from, &id, Why::Merged, cause);
            }
            Body::Interaction(Interaction::ReferralAccepted { referred_customer_id }) => {
                if let Some(referred) = referred_customer_id.as_deref().filter(|who| **who != *id) {
                    // Known by name, in case the referrer is erased.
                    self.ties(place).brought(referred, at, 0);
                    self.tell(referred, Vec::new(), at, cause, Told::Referred { by: id });
                }
            }
            _ => {}
        }
    }

    /// Remembers whom an event names, all of whom know it.
    pub(super) fn remember(&mut self, place: usize, event: &Event<'_>, at: Timestamp) {
        if let (Some(_), Some(visitor)) = (&event.customer_id, &event.anonymous_id) {
            self.ties(place).know(&visitor_id(visitor), at);
        }
        if let Some(account) = event.account_id.as_deref() {
            self.ties(place).join(&format!("{ACCOUNT_PREFIX}{account}"), at, at);
        }
    }

    /// A referral is heard of at the one who was referred.
    pub(super) fn be_referred(
        &mut self,
        to: &str,
        by: &str,
        cause: &CauseEvent<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        if to == by {
            return Ok(());
        }
        let at = cause.effective_at;
        // Events of its own from before may be still to come.
        let known_at = if self.clock() == Timestamp::MIN { at } else { at.min(self.clock()) };
        let place = self.touch_told_of(to, at, known_at, now)?;
        let key = EventKey::of(hash64(cause.event_id));
        let before = self.ties(place).referrer.as_ref().map(|referrer| referrer.id.clone());
        let lost = self.ties(place).refer(by, at, key);
        self.take_back(lost, cause, to);
        // Whoever did not bring it need not know it.
        let present = self.ties(place).referrer.as_ref().map(|referrer| referrer.id.clone());
        for other in before.as_deref().into_iter().chain([by]) {
            if present.as_deref() != Some(other) {
                self.tell_by(other, cause, Told::Forget { id: to.to_owned() });
            }
        }
        self.tell_credit(place, cause);
        Ok(())
    }

    /// The place of a subject that another one tells of: as long as nobody has heard of it itself,
    /// it is known since the first telling, in whichever order those of several partitions come.
    pub(super) fn touch_told_of(
        &mut self,
        to: &str,
        at: Timestamp,
        known_at: Timestamp,
        now: Option<Timestamp>,
    ) -> Result<usize, EventError> {
        let is_new = self.store.deadline(to)?.is_none();
        let place = self.touch_subject(to, known_at, now)?;
        let touched = self.store.at(place);
        touched.changed = true;
        let customer = &mut touched.customer;
        if is_new {
            customer.known_since(at);
        } else if customer.is_blank() {
            customer.known_since(at.min(customer.first_seen_at));
        }
        Ok(place)
    }

    pub(super) fn ties(&mut self, place: usize) -> &mut Ties {
        let touched = self.store.at(place);
        touched.changed = true;
        touched.customer.ties.get_or_insert_default()
    }

    /// Tells accounts that a contact of theirs is with another one now.
    pub(super) fn tell_left(&mut self, place: usize, cause: &CauseEvent<'_>) {
        let contact = hash64(&self.store.at(place).customer.id);
        for (account, at) in self.ties(place).take_left() {
            self.tell_by(&account, cause, Told::Left { contact, at });
        }
    }

    /// Tells the referrer of a subject what it has spent that the referrer does not know of.
    pub(super) fn tell_credit(&mut self, place: usize, cause: &CauseEvent<'_>) {
        let touched = self.store.at(place);
        let Customer { id, ties, book, counted, .. } = &mut touched.customer;
        let Some(ties) = ties.as_deref_mut().filter(|ties| ties.referrer.is_some()) else { return };
        let id = id.clone();
        let net_minor = counted.get(book, &self.config.rules.rates).net_minor;
        let is_own = |referrer: &str| {
            referrer == id || ties.aliases.iter().any(|alias| alias.id == referrer)
        };
        let Some(mut referrer) = ties.referrer.clone() else { return };
        if is_own(&referrer.id) {
            ties.referrer = None;
            touched.changed = true;
            self.take_back(Some(referrer), cause, &id);
            return;
        }
        let minor = net_minor.saturating_sub(referrer.credited_minor);
        if minor != 0 {
            referrer.credited_minor = net_minor;
            let by = referrer.id.clone();
            ties.referrer = Some(referrer);
            touched.changed = true;
            self.tell_by(&by, cause, Told::Credit { from: id, minor });
        }
    }

    /// Takes back from a referrer what it was told of somebody it did not bring.
    pub(super) fn take_back(&mut self, lost: Option<Referrer>, cause: &CauseEvent<'_>, from: &str) {
        if let Some(lost) = lost.filter(|lost| lost.credited_minor != 0) {
            let minor = lost.credited_minor.saturating_neg();
            self.tell_by(&lost.id, cause, Told::Credit { from: from.to_owned(), minor });
        }
    }
}

/// The subject id of a visitor.
pub(super) fn visitor_id(anonymous_id: &str) -> String {
    format!("{ANONYMOUS_PREFIX}{anonymous_id}")
}
