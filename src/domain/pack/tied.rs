//! Whom a subject is tied to, as compact bytes: most customers are tied to nobody.
//!
//! Next: `facts/ties.rs` and `facts/contacts.rs`, what the parts mean.

use super::primitives::{pack_key, pack_stamp, sorted, unpack_key, unpack_stamp};
use crate::domain::binary::{Reader, UnpackError, Writer};
use crate::domain::customer::Customer;
use crate::domain::facts::contacts::{Contact, Contacts, MAX_CONTACTS};
use crate::domain::facts::ties::{
    Heard, MAX_ALIASES, MAX_MEMBERSHIPS, MAX_REFERRED, Membership, Referrer, Ties,
};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

type Read<T> = Result<T, UnpackError>;

/// When a visitor was last heard of, where that is not when it was evaluated.
fn own_heard_at(customer: &Customer) -> Option<Timestamp> {
    let visitor = Subject::of(&customer.id) == Subject::Visitor;
    Some(customer.heard_at).filter(|at| visitor && *at != customer.evaluated_at)
}

/// Whether there is anything for [`pack_tied`].
pub(super) fn has_tied(customer: &Customer) -> bool {
    customer.ties.is_some() || customer.contacts.is_some() || own_heard_at(customer).is_some()
}

/// Empties what [`unpack_tied`] fills.
pub(super) fn forget_tied(customer: &mut Customer) {
    (customer.ties, customer.contacts) = (None, None);
    let visitor = Subject::of(&customer.id) == Subject::Visitor;
    customer.heard_at = if visitor { customer.evaluated_at } else { Timestamp::MIN };
}

pub(super) fn pack_tied(writer: &mut Writer<'_>, customer: &Customer) {
    writer.option(own_heard_at(customer), Writer::time);
    writer.option(customer.ties.as_deref(), pack_ties);
    writer.option(customer.contacts.as_deref(), |writer, contacts| {
        writer.array(&contacts.list, pack_contact);
    });
}

/// Reads what [`pack_tied`] wrote.
pub(super) fn unpack_tied(reader: &mut Reader<'_>, customer: &mut Customer) -> Read<()> {
    if let Some(heard_at) = reader.option(Reader::time)? {
        customer.heard_at = heard_at;
        // Damaged bytes: it is written only where it is another time.
        if own_heard_at(customer).is_none() {
            return Err(UnpackError::Invalid);
        }
    }
    customer.ties = reader.option(unpack_ties)?.map(Box::new);
    customer.contacts = reader.option(unpack_contacts)?.map(Box::new);
    if has_tied(customer) { Ok(()) } else { Err(UnpackError::Invalid) }
}

fn pack_ties(writer: &mut Writer<'_>, ties: &Ties) {
    pack_heard(writer, &ties.aliases);
    writer.array(&ties.memberships, |writer, membership| {
        writer.string(&membership.account);
        writer.time(membership.first_at);
        writer.time(membership.last_at);
        writer.boolean(membership.told_left);
    });
    writer.option(ties.referrer.as_ref(), |writer, referrer| {
        writer.string(&referrer.id);
        writer.time(referrer.at);
        pack_key(writer, referrer.key);
        writer.long(referrer.credited_minor);
    });
    pack_heard(writer, &ties.referred);
    writer.long(i64::from(ties.accepted));
    writer.long(ties.referred_revenue_minor);
}

fn unpack_ties(reader: &mut Reader<'_>) -> Read<Ties> {
    let aliases = unpack_heard(reader, MAX_ALIASES)?;
    let memberships = reader.array(|reader| {
        Ok(Membership {
            account: reader.string()?.to_owned(),
            first_at: reader.time()?,
            last_at: reader.time()?,
            told_left: reader.boolean()?,
        })
    })?;
    let memberships = sorted(memberships, |membership| membership.account.clone())?;
    let referrer = reader.option(|reader| {
        Ok(Referrer {
            id: reader.string()?.to_owned(),
            at: reader.time()?,
            key: unpack_key(reader)?,
            credited_minor: reader.long()?,
        })
    })?;
    let referred = unpack_heard(reader, MAX_REFERRED)?;
    let (accepted, referred_revenue_minor) = (reader.number()?, reader.long()?);
    bounded(memberships.len(), MAX_MEMBERSHIPS)?;
    Ok(Ties { aliases, memberships, referrer, referred, accepted, referred_revenue_minor })
}

fn pack_heard(writer: &mut Writer<'_>, list: &[Heard]) {
    writer.array(list, |writer, heard| {
        writer.string(&heard.id);
        writer.time(heard.at);
    });
}

fn unpack_heard(reader: &mut Reader<'_>, most: usize) -> Read<Vec<Heard>> {
    let list =
        reader.array(|reader| Ok(Heard { id: reader.string()?.to_owned(), at: reader.time()? }))?;
    bounded(list.len(), most)?;
    sorted(list, |heard| heard.id.clone())
}

fn pack_contact(writer: &mut Writer<'_>, contact: &Contact) {
    writer.fixed(&contact.hash.to_be_bytes());
    // No first event is written as no last one is: from other times it is too far away.
    let never = contact.first_at == Timestamp::MAX;
    writer.time(if never { Timestamp::MIN } else { contact.first_at });
    writer.time(contact.last_at);
    writer.time(contact.elsewhere_at);
    writer.option(contact.champion, |writer, (stamp, score)| {
        pack_stamp(writer, stamp);
        writer.long(i64::from(score));
    });
}

fn unpack_contacts(reader: &mut Reader<'_>) -> Read<Contacts> {
    let list = reader.array(unpack_contact)?;
    bounded(list.len(), MAX_CONTACTS)?;
    Ok(Contacts { list: sorted(list, |contact| contact.hash)? })
}

fn unpack_contact(reader: &mut Reader<'_>) -> Read<Contact> {
    Ok(Contact {
        hash: u64::from_be_bytes(reader.fixed()?),
        first_at: match reader.time()? {
            Timestamp::MIN => Timestamp::MAX,
            first_at => first_at,
        },
        last_at: reader.time()?,
        elsewhere_at: reader.time()?,
        champion: reader.option(|reader| Ok((unpack_stamp(reader)?, reader.number()?)))?,
    })
}

const fn bounded(count: usize, most: usize) -> Read<()> {
    if count <= most { Ok(()) } else { Err(UnpackError::Invalid) }
}
