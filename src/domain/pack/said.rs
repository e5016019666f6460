//! What interactions left behind, as compact bytes: most buyers of imported histories have none.
//!
//! Next: the files of `facts`, what the parts mean.

use super::primitives::{pack_stamp, sorted, text, unpack_day, unpack_stamp, unpack_time};
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

type Read<T> = Result<T, UnpackError>;

/// Writes the parts of a customer that are not orders.
pub(super) fn pack_said(writer: &mut Writer<'_>, customer: &Customer) {
    let Customer { signals, interactions, preferences, spending, .. } = customer;
    let Customer { surveys, meddic, traits, consent, .. } = customer;
    let any = signals.is_some()
        || interactions.is_some()
        || preferences.is_some()
        || spending.is_some()
        || surveys.is_some()
        || meddic.is_some()
        || traits.is_some()
        || consent.is_some();
    writer.option(any.then_some(()), |writer, ()| {
        writer.option(signals.as_deref(), pack_signals);
        writer.option(interactions.as_deref(), pack_interactions);
        writer.option(preferences.as_deref(), pack_preferences);
        writer.option(spending.as_deref(), pack_spending);
        writer.option(surveys.as_deref(), pack_surveys);
        writer.option(meddic.as_deref(), pack_meddic);
        writer.option(traits.as_deref(), pack_traits);
        writer.option(consent.as_deref(), pack_consent);
    });
}

/// Reads what [`pack_said`] wrote.
pub(super) fn unpack_said(reader: &mut Reader<'_>, customer: &mut Customer) -> Read<()> {
    (customer.signals, customer.interactions, customer.preferences) = (None, None, None);
    (customer.spending, customer.surveys, customer.meddic) = (None, None, None);
    (customer.traits, customer.consent) = (None, None);
    reader.option(|reader| {
        customer.signals = reader.option(unpack_signals)?.map(Box::new);
        customer.interactions = reader.option(unpack_interactions)?.map(Box::new);
        customer.preferences = reader.option(unpack_preferences)?.map(Box::new);
        customer.spending = reader.option(unpack_spending)?.map(Box::new);
        customer.surveys = reader.option(unpack_surveys)?.map(Box::new);
        customer.meddic = reader.option(unpack_meddic)?.map(Box::new);
        customer.traits = reader.option(unpack_traits)?.map(Box::new);
        customer.consent = reader.option(unpack_consent)?.map(Box::new);
        Ok(())
    })?;
    Ok(())
}

fn pack_signals(writer: &mut Writer<'_>, signals: &Signals) {
    writer.array(&signals.product_views, |writer, at| writer.long(at.0));
    writer.long(signals.considered_at.0);
    writer.long(signals.referral_at.0);
    writer.option(signals.review, |writer, review| {
        pack_stamp(writer, review.stamp);
        writer.long(i64::from(review.score));
    });
    writer.long(signals.good_review_at.0);
    writer.long(signals.shared_at.0);
}

fn unpack_signals(reader: &mut Reader<'_>) -> Read<Signals> {
    let views = reader.array(unpack_time)?;
    Ok(Signals {
        product_views: <[Timestamp; VIEWS]>::try_from(views).map_err(|_| UnpackError::Invalid)?,
        considered_at: unpack_time(reader)?,
        referral_at: unpack_time(reader)?,
        review: reader.option(|reader| {
            Ok(Scored { stamp: unpack_stamp(reader)?, score: reader.number()? })
        })?,
        good_review_at: unpack_time(reader)?,
        shared_at: unpack_time(reader)?,
    })
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
        writer.long(interactions.latest_day.0 - count.day.0);
        writer.count(count.kind.index());
        writer.long(i64::from(count.count));
    });
    writer.long(interactions.contact_at.0);
}

fn unpack_interactions(reader: &mut Reader<'_>) -> Read<Interactions> {
    let total = reader.number()?;
    let score = unpack_decayed(reader)?;
    let latest_day = unpack_day(reader)?;
    let counts = reader.array(|reader| {
        let day = Day(latest_day.0.saturating_sub(reader.long()?));
        let kind = ScoredKind::ALL.get(reader.number::<usize>()?);
        let kind = *kind.ok_or(UnpackError::Invalid)?;
        Ok(DayCount { day, kind, count: reader.number()? })
    })?;
    let counts = sorted(counts, |count| (count.day, count.kind))?;
    Ok(Interactions { total, score, latest_day, counts, contact_at: unpack_time(reader)? })
}

fn pack_preferences(writer: &mut Writer<'_>, preferences: &Preferences) {
    for list in [&preferences.categories, &preferences.channels] {
        writer.array(list, |writer, preference| {
            writer.string(&preference.name);
            pack_decayed(writer, preference.score);
        });
    }
}

fn unpack_preferences(reader: &mut Reader<'_>) -> Read<Preferences> {
    let list = |reader: &mut Reader<'_>| -> Read<Vec<Preference>> {
        let list = reader.array(|reader| {
            Ok(Preference { name: text(reader)?, score: unpack_decayed(reader)? })
        })?;
        if list.len() > MAX_PREFERENCES { Err(UnpackError::Invalid) } else { Ok(list) }
    };
    Ok(Preferences { categories: list(reader)?, channels: list(reader)? })
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

fn unpack_spending(reader: &mut Reader<'_>) -> Read<Spending> {
    let (marketing_minor, service_minor) = (reader.long()?, reader.long()?);
    let acquisition_minor = reader.long()?;
    let mut last = Day(0);
    let touch_days = reader.array(|reader| {
        last = Day(last.0.saturating_add(reader.long()?));
        Ok((last, reader.number()?))
    })?;
    let touch_days = sorted(touch_days, |(day, _)| *day)?;
    let later_touches = reader.number()?;
    Ok(Spending { marketing_minor, service_minor, acquisition_minor, touch_days, later_touches })
}

fn pack_surveys(writer: &mut Writer<'_>, surveys: &Surveys) {
    for answers in &surveys.answers {
        writer.option(answers.as_deref(), |writer, answers| {
            pack_stamp(writer, answers.last);
            writer.option(answers.score, |writer, score| writer.long(i64::from(score)));
            writer.unsigned(answers.count);
            writer.unsigned(answers.sum);
            writer.array(&answers.reasons, |writer, (stamp, reason)| {
                pack_stamp(writer, *stamp);
                writer.string(reason);
            });
        });
    }
    writer.array(&surveys.parts, |writer, part| {
        writer.long(part.side as i64);
        writer.string(&part.name);
        writer.long(part.at.0);
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
            at: unpack_time(reader)?,
            score: reader.number()?,
        })
    })?;
    surveys.parts = sorted(parts, |part| (part.side, part.name.clone()))?;
    Ok(surveys)
}

fn unpack_answers(reader: &mut Reader<'_>) -> Read<Answers> {
    Ok(Answers {
        last: unpack_stamp(reader)?,
        score: reader.option(Reader::number)?,
        count: reader.number()?,
        sum: reader.number()?,
        reasons: reader.array(|reader| Ok((unpack_stamp(reader)?, text(reader)?)))?,
    })
}

fn pack_meddic(writer: &mut Writer<'_>, meddic: &Meddic) {
    for element in &meddic.elements {
        writer.option(element.as_ref(), |writer, element| {
            writer.long(element.at.0);
            writer.long(i64::from(element.score));
            writer.string(&element.evidence);
        });
    }
    writer.option(meddic.outcome, |writer, (at, place)| {
        writer.long(at.0);
        writer.long(i64::from(place));
    });
}

fn unpack_meddic(reader: &mut Reader<'_>) -> Read<Meddic> {
    let mut meddic = Meddic::default();
    for place in 0..ELEMENTS.len() {
        meddic.elements[place] = reader.option(|reader| {
            let (at, score) = (unpack_time(reader)?, reader.number()?);
            Ok(Element { at, score, evidence: text(reader)? })
        })?;
    }
    meddic.outcome = reader.option(|reader| Ok((unpack_time(reader)?, reader.number()?)))?;
    let known = meddic.outcome.is_none_or(|(_, place)| usize::from(place) < OUTCOMES.len());
    if known { Ok(meddic) } else { Err(UnpackError::Invalid) }
}

fn pack_traits(writer: &mut Writer<'_>, traits: &Traits) {
    writer.array(&traits.entries, |writer, (name, at, value)| {
        writer.string(name);
        writer.long(at.0);
        writer.string(value);
    });
}

fn unpack_traits(reader: &mut Reader<'_>) -> Read<Traits> {
    let entries =
        reader.array(|reader| Ok((text(reader)?, unpack_time(reader)?, text(reader)?)))?;
    Ok(Latest { entries: sorted(entries, |(name, ..)| name.clone())? })
}

fn pack_consent(writer: &mut Writer<'_>, consent: &Consent) {
    writer.array(&consent.entries, |writer, (name, at, permitted)| {
        writer.string(name);
        writer.long(at.0);
        writer.boolean(*permitted);
    });
}

fn unpack_consent(reader: &mut Reader<'_>) -> Read<Consent> {
    let entries =
        reader.array(|reader| Ok((text(reader)?, unpack_time(reader)?, reader.boolean()?)))?;
    Ok(Latest { entries: sorted(entries, |(name, ..)| name.clone())? })
}
