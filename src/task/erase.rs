//! Somebody is erased: other ids of theirs too, and what others keep of their ids.
//!
//! What was counted stays. Never reaches ids that nobody remembers: they end when they are used, or
//! with their redirects. Next: `marks.rs`, what is left; `domain/publish/close.rs`, what is told.

use crate::domain::apply::catch_up;
use crate::domain::change::CauseKind;
use crate::domain::facts::ties::Ties;
use crate::domain::id::hash64;
use crate::domain::mark::Mark;
use crate::domain::publish::context::CauseEvent;
use crate::domain::relay::{Relayed, Told};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use crate::task::PartitionTask;
use crate::task::partition_task::{EventError, context};

impl PartitionTask {
    /// An id of somebody who was erased is erased, unless it is somebody else's by now.
    pub(super) fn erase_alias(
        &mut self,
        relayed: &Relayed<'_>,
        of: &str,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let (to, at) = (&relayed.to, relayed.at);
        let mark = self.mark(&self.salted_id(to), at);
        if mark.is_some_and(|mark| mark.to.as_deref() != Some(of)) {
            return Ok(());
        }
        let cause = relayed.cause.clone();
        self.erase(to, None, at, &cause.as_cause(), now)
    }

    /// Erases a subject, its other ids, and its traces with others; `visitor` is an id of it that
    /// the request names.
    pub(super) fn erase(
        &mut self,
        id: &str,
        visitor: Option<String>,
        at: Timestamp,
        cause: &CauseEvent<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let place = self.touch_subject(id, at, now)?;
        let context = context(&self.config, self.lineage, &self.position, now);
        let touched = self.store.at(place);
        let customer = &mut touched.customer;
        let before = customer.deadline;
        let evaluated_at = at.max(context.clock).max(customer.evaluated_at);
        catch_up(customer, evaluated_at, &context, (&mut self.tally, &mut self.changes));
        let ties = customer.ties.take().map_or_else(Ties::default, |ties| *ties);
        self.remove(place, before, evaluated_at, (CauseKind::Erase, Some(cause)), now);
        let until = evaluated_at.plus_ms(self.config.rules.erase_keep_ms);
        self.marks.set(self.salted_id(id), Mark::erased(until));
        self.tally.erased += 1;
        self.tell_forgotten(id, ties, visitor, cause);
        Ok(())
    }

    /// Tells all to whom somebody erased was tied: other ids of theirs go too, others forget them.
    pub(super) fn tell_forgotten(
        &mut self,
        id: &str,
        ties: Ties,
        visitor: Option<String>,
        cause: &CauseEvent<'_>,
    ) {
        for membership in ties.memberships {
            self.tell_by(&membership.account, cause, Told::Forget { id: id.to_owned() });
        }
        let mut ids: Vec<String> = ties.aliases.into_iter().map(|alias| alias.id).collect();
        ids.extend(visitor);
        ids.retain(|alias| alias != id);
        for alias in &ids {
            self.tell_by(alias, cause, Told::Erase { of: id.to_owned() });
        }
        // They may know the person by an id of before.
        ids.retain(|alias| Subject::of(alias) == Subject::Customer);
        ids.push(id.to_owned());
        let referred = ties.referred.into_iter().map(|referred| referred.id);
        for other in referred.chain(ties.referrer.map(|referrer| referrer.id)) {
            for id in &ids {
                self.tell_by(&other, cause, Told::Forget { id: id.clone() });
            }
        }
    }

    /// A subject that is known forgets an id; of an account a contact goes with it.
    pub(super) fn forget(
        &mut self,
        to: &str,
        id: &str,
        cause: &CauseEvent<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        if Subject::of(to) == Subject::Account {
            return self.amend_known(to, Timestamp::MIN, cause, now, |account| {
                account.contacts.get_or_insert_default().forget(hash64(id));
            });
        }
        if self.store.deadline(to)?.is_some() {
            let place = self.touch_subject(to, Timestamp::MIN, now)?;
            let touched = self.store.at(place);
            touched.changed = true;
            touched.customer.ties.get_or_insert_default().forget(id);
        }
        Ok(())
    }
}
