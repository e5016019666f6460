//! What interactions left behind, as compact bytes: most buyers of imported histories have none.
//!
//! Next: the files of `facts`, what the parts mean.

use super::primitives::{in_order, pack_stamp, sorted, text, unpack_day, unpack_stamp};
use crate::domain::binary::{Reader, UnpackError, Writer};
use crate::domain::customer::Customer;
use crate::domain::decay::Decayed;
use crate::domain::facts::interactions::{DayCount, Interactions};
use crate::domain::facts::meddic::{ELEMENTS, Element, Meddic, OUTCOMES};
use crate::domain::facts::preferences::{MAX_PREFERENCES, Preference, Preferences};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::facts::signals::{Scored, Signals, VIEWS};
use crate::domain::facts::spending::Spending;
use crate::domain::facts::surveys::{Answers, Part, Side, Surveys, Topic};
use crate::domain::facts::traits::{Consent, Latest, Traits};
use crate::domain::time::{Day, Timestamp};

/// Kinds of scored events that a day can hold.
const KINDS: i64 = 32;
const _: () = assert!(ScoredKind::COUNT <= 32, "a kind has five bits");

type Read<T> = Result<T, UnpackError>;

/// Whether there are parts that are not orders.
pub(super) const fn has_said(customer: &Customer) -> bool {
    let Customer { signals, interactions, preferences, spending, .. } = customer;
    let Customer { surveys, meddic, traits, consent, .. } = customer;
    signals.is_some()
        || interactions.is_some()
        || preferences.is_some()
        || spending.is_some()
        || surveys.is_some()
        || meddic.is_some()
        || traits.is_some()
        || consent.is_some()
}

/// Empties the parts that are not orders.
pub(super) fn forget_said(customer: &mut Customer) {
    (customer.signals, customer.interactions, customer.preferences) = (None, None, None);
    (customer.spending, customer.surveys, customer.meddic) = (None, None, None);
    (customer.traits, customer.consent) = (None, None);
}

/// Writes the parts of a customer that are not orders.
pub(super) fn pack_said(writer: &mut Writer<'_>, customer: &Customer) {
    writer.option(has_said(customer).then_some(customer), |writer, customer| {
        writer.option(customer.signals.as_deref(), pack_signals);
        writer.option(customer.interactions.as_deref(), pack_interactions);
        writer.option(customer.preferences.as_deref(), pack_preferences);
        writer.option(customer.spending.as_deref(), pack_spending);
        writer.option(customer.surveys.as_deref(), pack_surveys);
        writer.option(customer.meddic.as_deref(), pack_meddic);
        writer.option(customer.traits.as_deref(), pack_traits);
        writer.option(customer.consent.as_deref(), pack_consent);
    });
}

/// Reads what [`pack_said`] wrote, into the memory of the same parts of another customer.
pub(super) fn unpack_said(reader: &mut Reader<'_>, customer: &mut Customer) -> Read<()> {
    let has_said = reader.option(|reader| {
        reuse(reader, &mut customer.signals, unpack_signals)?;
        reuse(reader, &mut customer.interactions, unpack_interactions)?;
        reuse(reader, &mut customer.preferences, unpack_preferences)?;
        reuse(reader, &mut customer.spending, unpack_spending)?;
        customer.surveys = reader.option(unpack_surveys)?.map(Box::new);
        customer.meddic = reader.option(unpack_meddic)?.map(Box::new);
        customer.traits = reader.option(unpack_traits)?.map(Box::new);
        customer.consent = reader.option(unpack_consent)?.map(Box::new);
        Ok(())
    })?;
    if has_said.is_none() {
        forget_said(customer);
    }
    Ok(())
}

/// Reads a part that may be there into the memory of another customer's.
fn reuse<T: Default>(
    reader: &mut Reader<'_>,
    part: &mut Option<Box<T>>,
    read: impl FnOnce(&mut Reader<'_>, &mut T) -> Read<()>,
) -> Read<()> {
    if reader.option(|reader| read(reader, part.get_or_insert_default()))?.is_none() {
        *part = None;
    }
    Ok(())
}

fn pack_signals(writer: &mut Writer<'_>, signals: &Signals) {
    let views = &signals.product_views;
    // The latest first; those that never were are the last.
    let seen = views.iter().position(|at| *at == Timestamp::MIN).unwrap_or(VIEWS);
    writer.array(&views[..seen], |writer, at| writer.time(*at));
    writer.time(signals.considered_at);
    writer.time(signals.referral_at);
    writer.option(signals.review, |writer, review| {
        pack_stamp(writer, review.stamp);
        writer.long(i64::from(review.score));
    });
    writer.time(signals.good_review_at);
    writer.time(signals.shared_at);
}

fn unpack_signals(reader: &mut Reader<'_>, signals: &mut Signals) -> Read<()> {
    let mut product_views = [Timestamp::MIN; VIEWS];
    let mut views = product_views.iter_mut();
    reader.items(|reader| {
        *views.next().ok_or(UnpackError::Invalid)? = reader.time()?;
        Ok(())
    })?;
    *signals = Signals {
        product_views,
        considered_at: reader.time()?,
        referral_at: reader.time()?,
        review: reader.option(|reader| {
            Ok(Scored { stamp: unpack_stamp(reader)?, score: reader.number()? })
        })?,
        good_review_at: reader.time()?,
        shared_at: reader.time()?,
    };
    Ok(())
}

fn pack_decayed(writer: &mut Writer<'_>, decayed: Decayed) {
    writer.long(decayed.block);
    // Of the sum of one event the lowest bits are zero.
    let zeros = if decayed.sum == 0 { 0 } else { decayed.sum.trailing_zeros() };
    writer.long(i64::from(zeros));
    writer.unsigned(decayed.sum >> zeros);
}

fn unpack_decayed(reader: &mut Reader<'_>) -> Read<Decayed> {
    let block = reader.long()?;
    let zeros: u32 = reader.number()?;
    let odd: u64 = reader.number()?;
    let sum = odd.checked_shl(zeros).filter(|sum| sum >> zeros == odd);
    let canonical = if odd == 0 { zeros == 0 } else { odd & 1 == 1 };
    let sum = sum.filter(|_| canonical).ok_or(UnpackError::Invalid)?;
    Ok(Decayed { block, sum })
}

fn pack_interactions(writer: &mut Writer<'_>, interactions: &Interactions) {
    writer.unsigned(interactions.total);
    pack_decayed(writer, interactions.score);
    writer.long(interactions.latest_day.0);
    writer.array(&interactions.counts, |writer, count| {
        let age = interactions.latest_day.0 - count.day.0;
        writer.long(age * KINDS + i64::try_from(count.kind.index()).unwrap_or(0));
        writer.long(i64::from(count.count));
    });
    writer.time(interactions.contact_at);
}

fn unpack_interactions(reader: &mut Reader<'_>, interactions: &mut Interactions) -> Read<()> {
    interactions.total = reader.number()?;
    interactions.score = unpack_decayed(reader)?;
    let latest_day = unpack_day(reader)?;
    interactions.latest_day = latest_day;
    let counts = &mut interactions.counts;
    counts.clear();
    reader.array_into(counts, |reader| {
        let place = reader.long()?;
        let day = Day(latest_day.0.saturating_sub(place.div_euclid(KINDS)));
        let kind = usize::try_from(place.rem_euclid(KINDS)).ok();
        let kind = kind.and_then(|kind| ScoredKind::ALL.get(kind));
        let kind = *kind.ok_or(UnpackError::Invalid)?;
        Ok(DayCount { day, kind, count: reader.number()? })
    })?;
    in_order(counts, |count| (count.day, count.kind))?;
    interactions.contact_at = reader.time()?;
    Ok(())
}

fn pack_preferences(writer: &mut Writer<'_>, preferences: &Preferences) {
    for list in [&preferences.categories, &preferences.channels] {
        writer.array(list, |writer, preference| {
            writer.string(&preference.name);
            pack_decayed(writer, preference.score);
        });
    }
}

fn unpack_preferences(reader: &mut Reader<'_>, preferences: &mut Preferences) -> Read<()> {
    for list in [&mut preferences.categories, &mut preferences.channels] {
        let mut length = 0;
        reader.items(|reader| {
            let (name, score) = (reader.string()?, unpack_decayed(reader)?);
            match list.get_mut(length) {
                // Many customers have the same ones.
                Some(known) if *known.name == *name => known.score = score,
                Some(known) => *known = Preference { name: name.into(), score },
                None => list.push(Preference { name: name.into(), score }),
            }
            length += 1;
            if length > MAX_PREFERENCES { Err(UnpackError::Invalid) } else { Ok(()) }
        })?;
        list.truncate(length);
    }
    Ok(())
}

fn pack_spending(writer: &mut Writer<'_>, spending: &Spending) {
    writer.long(spending.marketing_minor);
    writer.long(spending.service_minor);
    writer.long(spending.acquisition_minor);
    let mut last = Day(0);
    writer.array(&spending.touch_days, |writer, (day, count)| {
        writer.long(day.0 - last.0);
        writer.long(i64::from(*count));
        last = *day;
    });
    writer.unsigned(spending.later_touches);
}

fn unpack_spending(reader: &mut Reader<'_>, spending: &mut Spending) -> Read<()> {
    spending.marketing_minor = reader.long()?;
    spending.service_minor = reader.long()?;
    spending.acquisition_minor = reader.long()?;
    let mut last = Day(0);
    let touch_days = &mut spending.touch_days;
    touch_days.clear();
    reader.array_into(touch_days, |reader| {
        last = Day(last.0.saturating_add(reader.long()?));
        Ok((last, reader.number()?))
    })?;
    in_order(touch_days, |(day, _)| *day)?;
    spending.later_touches = reader.number()?;
    Ok(())
}

fn pack_surveys(writer: &mut Writer<'_>, surveys: &Surveys) {
    for answers in &surveys.answers {
        writer.option(answers.as_deref(), |writer, answers| {
            pack_stamp(writer, answers.last);
            writer.option(answers.score, |writer, score| writer.long(i64::from(score)));
            writer.unsigned(answers.count);
            writer.unsigned(answers.scored);
            writer.unsigned(answers.sum);
            writer.array(&answers.reasons, |writer, (stamp, reason)| {
                writer.option((*stamp != answers.last).then_some(*stamp), pack_stamp);
                writer.string(reason);
            });
        });
    }
    writer.array(&surveys.parts, |writer, part| {
        writer.long(part.side as i64);
        writer.string(&part.name);
        writer.time(part.at);
        writer.long(i64::from(part.score));
    });
}

fn unpack_surveys(reader: &mut Reader<'_>) -> Read<Surveys> {
    let mut surveys = Surveys::default();
    for topic in Topic::ALL {
        surveys.answers[topic as usize] = reader.option(unpack_answers)?.map(Box::new);
    }
    let parts = reader.array(|reader| {
        let side = Side::ALL.get(reader.number::<usize>()?);
        Ok(Part {
            side: *side.ok_or(UnpackError::Invalid)?,
            name: text(reader)?,
            at: reader.time()?,
            score: reader.number()?,
        })
    })?;
    surveys.parts = sorted(parts, |part| (part.side, part.name.clone()))?;
    Ok(surveys)
}

fn unpack_answers(reader: &mut Reader<'_>) -> Read<Answers> {
    let last = unpack_stamp(reader)?;
    Ok(Answers {
        last,
        score: reader.option(Reader::number)?,
        count: reader.number()?,
        scored: reader.number()?,
        sum: reader.number()?,
        reasons: reader.array(|reader| {
            let stamp = reader.option(unpack_stamp)?.unwrap_or(last);
            Ok((stamp, text(reader)?))
        })?,
    })
}

fn pack_meddic(writer: &mut Writer<'_>, meddic: &Meddic) {
    for element in &meddic.elements {
        writer.option(element.as_ref(), |writer, element| {
            writer.time(element.at);
            writer.long(i64::from(element.score));
            writer.string(&element.evidence);
        });
    }
    writer.option(meddic.outcome, |writer, (at, place)| {
        writer.time(at);
        writer.long(i64::from(place));
    });
}

fn unpack_meddic(reader: &mut Reader<'_>) -> Read<Meddic> {
    let mut meddic = Meddic::default();
    for place in 0..ELEMENTS.len() {
        meddic.elements[place] = reader.option(|reader| {
            let (at, score) = (reader.time()?, reader.number()?);
            Ok(Element { at, score, evidence: text(reader)? })
        })?;
    }
    meddic.outcome = reader.option(|reader| Ok((reader.time()?, reader.number()?)))?;
    let known = meddic.outcome.is_none_or(|(_, place)| usize::from(place) < OUTCOMES.len());
    if known { Ok(meddic) } else { Err(UnpackError::Invalid) }
}

fn pack_traits(writer: &mut Writer<'_>, traits: &Traits) {
    writer.array(&traits.entries, |writer, (name, at, value)| {
        writer.string(name);
        writer.time(*at);
        writer.string(value);
    });
}

fn unpack_traits(reader: &mut Reader<'_>) -> Read<Traits> {
    let entries = reader.array(|reader| Ok((text(reader)?, reader.time()?, text(reader)?)))?;
    Ok(Latest { entries: sorted(entries, |(name, ..)| name.clone())? })
}

fn pack_consent(writer: &mut Writer<'_>, consent: &Consent) {
    writer.array(&consent.entries, |writer, (name, at, permitted)| {
        writer.string(name);
        writer.time(*at);
        writer.boolean(*permitted);
    });
}

fn unpack_consent(reader: &mut Reader<'_>) -> Read<Consent> {
    let entries = reader.array(|reader| Ok((text(reader)?, reader.time()?, reader.boolean()?)))?;
    Ok(Latest { entries: sorted(entries, |(name, ..)| name.clone())? })
}
