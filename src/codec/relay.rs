//! Records of the internal topic `relay`: a version byte, then an Avro datum of
//! `schemas/relay.avsc`.
//!
//! The version is that of the state, which may be in it. Never reads the event in a record: its
//! value is as it came in. Next: `domain/relay.rs`, what is told; `task/relay.rs`, what becomes
//! of it.

use crate::codec::state::{StateError, VERSION};
use crate::domain::binary::{Reader, UnpackError, Writer};
use crate::domain::name::Name;
use crate::domain::relay::{EventOrigin, Relayed, Told, Why};
use crate::domain::time::Timestamp;
use std::borrow::Cow;

/// The first version of the state in which there were such records: they have not changed since.
const FIRST_VERSION: u8 = 3;

/// Fills `value` with a record of a lineage.
pub fn encode_relayed(lineage: u32, relayed: &Relayed<'_>, value: &mut Vec<u8>) {
    value.clear();
    value.push(VERSION);
    let mut writer = Writer::new(value);
    let Relayed { to, path, at, cause, told } = relayed;
    writer.long(i64::from(lineage));
    writer.string(to);
    writer.array(path, |writer, id| writer.string(id));
    writer.long(at.0);
    writer.string(&cause.event_id);
    writer.long(cause.occurred_at.0);
    writer.long(cause.at.0);
    writer.string(&cause.topic);
    writer.long(i64::from(cause.partition));
    writer.long(cause.offset);
    writer.count(told.reason());
    match told {
        Told::Event { input, tied, value } => {
            writer.count(*input);
            writer.boolean(*tied);
            bytes(&mut writer, value);
        }
        Told::Move { into, why } => {
            writer.string(into);
            writer.boolean(*why == Why::Known);
        }
        Told::State(packed) => bytes(&mut writer, packed),
        Told::Follow { from, to } => {
            writer.string(from);
            writer.string(to);
        }
        Told::Erase { of: id } | Told::Forget { id } | Told::Referred { by: id } => {
            writer.string(id);
        }
        Told::Credit { from, minor } => {
            writer.string(from);
            writer.long(*minor);
        }
        Told::Contact { was, now, first_at, last_at } => {
            writer.option(*was, |writer, was| writer.long(was.cast_signed()));
            writer.long(now.cast_signed());
            writer.long(first_at.0);
            writer.long(last_at.0);
        }
        Told::Left { contact, at } => {
            writer.long(contact.cast_signed());
            writer.long(at.0);
        }
    }
}

fn bytes(writer: &mut Writer<'_>, bytes: &[u8]) {
    writer.count(bytes.len());
    writer.fixed(bytes);
}

/// Reads [`encode_relayed`]: the lineage, and what is told.
///
/// # Errors
/// When the bytes are no such record, or of another version.
pub fn decode_relayed(value: &[u8]) -> Result<(u32, Relayed<'_>), StateError> {
    match value.split_first() {
        Some((&(FIRST_VERSION..=VERSION), datum)) => {
            decode(datum).map_err(|error| StateError::Damaged(error.to_string()))
        }
        Some((&version, _)) if version > VERSION => Err(StateError::Newer(version)),
        _ => Err(StateError::Damaged("it has no version that this program reads".to_owned())),
    }
}

fn decode(datum: &[u8]) -> Result<(u32, Relayed<'_>), UnpackError> {
    let mut reader = Reader::new(datum);
    let lineage = reader.number()?;
    let to = text(&mut reader)?;
    let path = reader.array(text)?;
    let at = time(&mut reader)?;
    let cause = EventOrigin {
        event_id: text(&mut reader)?,
        occurred_at: time(&mut reader)?,
        at: time(&mut reader)?,
        topic: Name::from(text(&mut reader)?),
        partition: reader.number()?,
        offset: reader.long()?,
    };
    let told = told(&mut reader)?;
    if !reader.is_at_end() {
        return Err(UnpackError::Trailing);
    }
    Ok((lineage, Relayed { to, path, at, cause, told }))
}

fn told<'r>(reader: &mut Reader<'r>) -> Result<Told<'r>, UnpackError> {
    Ok(match reader.long()? {
        0 => {
            Told::Event { input: reader.number()?, tied: reader.boolean()?, value: taken(reader)? }
        }
        1 => Told::Move {
            into: text(reader)?,
            why: if reader.boolean()? { Why::Known } else { Why::Merged },
        },
        2 => Told::State(taken(reader)?),
        3 => Told::Follow { from: text(reader)?, to: text(reader)? },
        4 => Told::Erase { of: text(reader)? },
        5 => Told::Forget { id: text(reader)? },
        6 => Told::Referred { by: text(reader)? },
        7 => Told::Credit { from: text(reader)?, minor: reader.long()? },
        8 => Told::Contact {
            was: reader.option(hash)?,
            now: hash(reader)?,
            first_at: time(reader)?,
            last_at: time(reader)?,
        },
        9 => Told::Left { contact: hash(reader)?, at: time(reader)? },
        _ => return Err(UnpackError::Invalid),
    })
}

fn text(reader: &mut Reader<'_>) -> Result<String, UnpackError> {
    reader.string().map(ToOwned::to_owned)
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, UnpackError> {
    reader.long().map(Timestamp)
}

fn hash(reader: &mut Reader<'_>) -> Result<u64, UnpackError> {
    reader.long().map(i64::cast_unsigned)
}

fn taken<'r>(reader: &mut Reader<'r>) -> Result<Cow<'r, [u8]>, UnpackError> {
    let length = reader.number()?;
    reader.take(length).map(Cow::Borrowed)
}

#[cfg(test)]
mod tests;
