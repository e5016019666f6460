//! The naive model of `satisfaction`.
//!
//! Next: `qualification.rs`.

use crate::known::Known;
use ebbflow::domain::event::{Interaction, Survey};
use ebbflow::domain::time::DAY_MS;

impl Known<'_> {
    pub(crate) fn satisfaction(&self, at: i64) -> &'static str {
        let answers = self.interactions().filter_map(|(when, interaction)| match interaction {
            Interaction::SurveyAnswered { survey: Survey::Nps, score, .. } => Some((when, *score)),
            _ => None,
        });
        match answers.max() {
            Some(((answered, _), _)) if at - answered > 365 * DAY_MS => "unknown",
            Some((_, Some(9 | 10))) => "promoter",
            Some((_, Some(7 | 8))) => "passive",
            Some((_, Some(_))) => "detractor",
            Some((_, None)) | None => "unknown",
        }
    }
}
