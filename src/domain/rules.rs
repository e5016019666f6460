//! The rules: every number and map that decides, validated, immutable while a task runs.
//!
//! Built by `config`; nothing here reads a file. What is used when an event comes in is in
//! [`FoldRules`]: changing it needs a rebuild; all else is judged anew from what is kept.
//! Next: the files of `dimensions`, which decide.

use crate::domain::decay::HalfLife;
use crate::domain::dimension::{self, Dimension, Judged, Place};
use crate::domain::dimensions::rfm_map::RfmMap;
use crate::domain::event::{Body, Event, Interaction, MessageKind};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::money::ExchangeRates;
use crate::domain::name::Name;
use crate::domain::names::{Names, TooManyNames};
use crate::domain::predicate::season::Seasons;
use crate::domain::predicate::{Predicate, Reads};
use crate::domain::publish::consent::ConsentPolicy;
use crate::domain::publish::labels::Labels;
use crate::domain::subject::Subject;

/// Everything that decides about a customer.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which rules these are.
    pub identity: RulesIdentity,
    /// How amounts become base currency.
    pub rates: ExchangeRates,
    /// What events leave behind.
    pub fold: FoldRules,
    /// What the dimensions are judged by, where no entry of `when` says otherwise.
    pub thresholds: Thresholds,
    /// Thresholds of those to whom a condition applies; the first that does.
    pub when: Vec<When>,
    /// Names that states know by number.
    pub names: Names,
    /// The user's own rules, in the order in which changes of one group are written.
    pub audiences: Vec<Audience>,
    /// The time of the year, for them.
    pub seasons: Seasons,
    /// What stands between raw and published values, by [`Dimension::place`].
    pub anti_flap: [AntiFlap; dimension::COUNT],
    /// The words of summaries.
    pub labels: Labels,
    /// Owner role of each lifecycle stage, in the order of `lifecycle::Stage::ALL`.
    pub roles: [Name; 6],
    /// Which dimensions are emitted and how.
    pub output: OutputRules,
    /// The dimensions that are judged: all, or those that are emitted or asked for by audiences.
    pub judged: Judged,
    /// What customers have to permit.
    pub consent: ConsentRules,
    /// Who is held out.
    pub holdout: HoldoutRules,
    /// Whom events count for that name an account: what is fed cannot be taken back.
    pub accounts: AccountRules,
    /// How long events of somebody erased are dropped, in ms.
    pub erase_keep_ms: i64,
    /// How long a visitor is kept of whom nothing more is heard, in ms.
    pub keep_visitors_ms: i64,
    /// How long it is kept that one subject is another, in ms.
    pub keep_redirects_ms: i64,
}

impl Rules {
    /// The same rules for a state that knows these names.
    ///
    /// # Errors
    /// When there would be more names than states can tell apart.
    pub fn with_names(mut self, names: Names) -> Result<Self, TooManyNames> {
        let audiences = self.audiences.iter().map(|audience| &audience.name);
        self.names = names.with(&self.thresholds.rfm.map, audiences)?;
        for audience in &mut self.audiences {
            audience.number = self.names.audience(&audience.name).unwrap_or(u8::MAX);
        }
        Ok(self)
    }

    /// Whether thresholds change with the seasons.
    #[must_use]
    pub fn follow_seasons(&self) -> bool {
        self.when.iter().any(|when| when.condition.reads().meets(Reads::TIME))
    }

    /// The rule of an audience; `None` when there is none any more.
    #[must_use]
    pub fn audience(&self, number: u8) -> Option<&Audience> {
        self.audiences.iter().find(|audience| audience.number == number)
    }

    /// What stands between raw and published values of a dimension.
    #[must_use]
    pub fn anti_flap(&self, dimension: Dimension) -> AntiFlap {
        match dimension.place() {
            Place::BuiltIn(place) => self.anti_flap[place],
            Place::Audience(number) => {
                self.audience(number).map_or_else(AntiFlap::default, |audience| audience.anti_flap)
            }
        }
    }

    /// Whether changes of a dimension are written.
    #[must_use]
    pub fn emits(&self, dimension: Dimension) -> bool {
        match dimension.place() {
            Place::BuiltIn(place) => self.output.dimensions[place],
            Place::Audience(_) => true,
        }
    }

    /// Whether changes and profiles of a kind of subjects are written.
    #[must_use]
    pub const fn emits_subject(&self, subject: Subject) -> bool {
        self.output.subjects[subject as usize]
    }

    /// Whether changes of a dimension of this subject are written.
    #[must_use]
    pub fn tells(&self, id: &str, dimension: Dimension) -> bool {
        self.emits(dimension) && self.emits_subject(Subject::of(id))
    }

    /// Whom an event counts for.
    #[must_use]
    pub fn feeds(&self, event: &Event<'_>) -> Feeds {
        let accounts = &self.accounts;
        let feeds = match &event.body {
            Body::Purchase(_) => accounts.purchases,
            Body::Interaction(interaction) => match interaction {
                Interaction::SurveyAnswered { .. } => accounts.surveys,
                Interaction::CostRecorded { .. } => accounts.costs,
                Interaction::QualificationUpdated(_) => accounts.qualification,
                Interaction::ReferralSent { .. }
                | Interaction::ReferralAccepted { .. }
                | Interaction::ProfileUpdated { .. }
                | Interaction::CustomersMerged { .. }
                | Interaction::ConsentChanged { .. }
                | Interaction::Message { kind: MessageKind::Unsubscribed, .. }
                | Interaction::EraseRequested => Feeds::PERSON,
                Interaction::Visit { .. }
                | Interaction::Message { .. }
                | Interaction::SupportContacted { .. }
                | Interaction::ProductReviewed { .. }
                | Interaction::Shared { .. }
                | Interaction::Unknown { .. } => accounts.interactions,
            },
        };
        if event.account_id.is_some() { feeds } else { Feeds::PERSON }
    }
}

/// Whom an event counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feeds {
    /// The person.
    pub person: bool,
    /// The person's account.
    pub account: bool,
}

impl Feeds {
    /// The person alone.
    pub const PERSON: Self = Self { person: true, account: false };
    /// The account alone.
    pub const ACCOUNT: Self = Self { person: false, account: true };
    /// Both.
    pub const BOTH: Self = Self { person: true, account: true };
}

/// Whom events count for that name an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountRules {
    /// Orders and subscriptions.
    pub purchases: Feeds,
    /// Interactions of no other kind here.
    pub interactions: Feeds,
    /// Answers to surveys.
    pub surveys: Feeds,
    /// Costs that are recorded.
    pub costs: Feeds,
    /// MEDDIC.
    pub qualification: Feeds,
}

impl AccountRules {
    /// What states go on with that were written before there were accounts.
    pub const FIRST: Self = Self {
        purchases: Feeds::BOTH,
        interactions: Feeds::BOTH,
        surveys: Feeds::BOTH,
        costs: Feeds::BOTH,
        qualification: Feeds::ACCOUNT,
    };
}

/// Thresholds of those to whom a condition applies.
#[derive(Clone, Debug)]
pub struct When {
    /// On traits and the season.
    pub condition: Predicate,
    /// All of them, those of everybody where the entry says nothing.
    pub thresholds: Thresholds,
}

/// A rule of the user's own: who is in, and who is out.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Its name, without `audience:`.
    pub name: Name,
    /// Its number among [`Names::audiences`].
    pub number: u8,
    /// Who is in.
    pub predicate: Predicate,
    /// What the predicate reads.
    pub reads: Reads,
    /// What stands between raw and published values.
    pub anti_flap: AntiFlap,
    /// Buckets below this are held out, 0 to 100.
    pub held: u8,
    /// The purpose that its changes serve.
    pub purpose: Option<String>,
}

/// Names a rule set; written into every change and every `progress`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesIdentity {
    /// Name of the set.
    pub set: Name,
    /// Raised by the user with every change.
    pub revision: u32,
    /// First 16 hex digits of the SHA-256 of the effective rules.
    pub hash: Name,
    /// The same of what is used when an event comes in: with another one a state cannot go on.
    pub fold_hash: Name,
}

/// What is used when an event comes in, and cannot be used again on what is kept.
#[derive(Clone, Debug)]
pub struct FoldRules {
    /// Weight of an event for `engagement`, by [`ScoredKind::index`]; 0 to 1000.
    pub weights: [u32; ScoredKind::COUNT],
    /// Events of a kind and day beyond this are not scored.
    pub daily_cap: u32,
    /// How fast engagement fades.
    pub engagement_half_life: HalfLife,
    /// How fast preferences for categories and channels fade.
    pub preference_half_life: HalfLife,
    /// Cost of a minute of support, minor units of the base currency.
    pub service_cost_per_minute_minor: i64,
    /// Cost of a message by channel, minor units of the base currency.
    pub touch_cost_minor: Vec<(String, i64)>,
    /// Makes the hashes of erased ids those of this application alone.
    pub erase_salt: String,
}

/// What the dimensions are judged by.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// The `rfm` dimension.
    pub rfm: RfmRules,
    /// Expected gaps.
    pub gap: GapRules,
    /// The `lifecycle` dimension.
    pub lifecycle: LifecycleRules,
    /// The `activity` dimension.
    pub activity: ActivityRules,
    /// The `value_mode` dimension.
    pub value_mode: ValueModeRules,
    /// The `value_tier` dimension: edges between low, medium, high and top, in minor units;
    /// strictly above.
    pub value_tier_minor: [i64; 3],
    /// The `engagement` dimension.
    pub engagement: EngagementRules,
    /// How long an NPS answer stands for satisfaction, in ms.
    pub satisfaction_ms: i64,
    /// Perceived value.
    pub perceived: PerceivedRules,
    /// The `qualification` dimension.
    pub qualification: QualificationRules,
    /// The `contacts` dimension.
    pub contacts: ContactsRules,
}

/// The `rfm` dimension.
#[derive(Clone, Debug)]
pub struct RfmRules {
    /// Cells to names.
    pub map: RfmMap,
    /// Orders older than this do not count for F and M, in ms; `None` = lifetime.
    pub window_ms: Option<i64>,
    /// Sum or average.
    pub monetary: Monetary,
    /// Edges of R in days; strictly above an edge costs a level.
    pub recency_days: Vec<i64>,
    /// Edges of F in orders.
    pub frequency: Vec<i64>,
    /// Edges of M in minor units.
    pub monetary_minor: Vec<i64>,
}

/// What M measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Monetary {
    /// Net amounts within the window added up.
    Sum,
    /// Their average, rounded down.
    Average,
}

/// Expected gaps between orders.
#[derive(Clone, Debug)]
pub struct GapRules {
    /// The gap expected of somebody unknown, in days.
    pub prior_days: i64,
    /// How many own gaps the prior weighs.
    pub prior_weight: i64,
    /// How long after a term's end a renewal is waited for, in ms.
    pub subscription_grace_ms: i64,
}

/// The `lifecycle` dimension.
#[derive(Clone, Debug)]
pub struct LifecycleRules {
    /// Live while the last order is at most this many expected gaps old.
    pub live_gaps: i64,
    /// Counting orders that make a customer retained.
    pub retention_orders: u64,
    /// How long consideration evidence lasts, in ms.
    pub consideration_ms: i64,
    /// How long an accepted referral is advocacy evidence, in ms.
    pub referral_ms: i64,
    /// How long a promoter's answer is advocacy evidence, in ms.
    pub promoter_ms: i64,
    /// How long a good review or a share is advocacy evidence, in ms.
    pub review_ms: i64,
    /// Counting orders without which a review or share is no advocacy evidence.
    pub review_orders: u64,
}

/// The `activity` dimension.
#[derive(Clone, Debug)]
pub struct ActivityRules {
    /// From where on a customer is at risk, lapsed and churned.
    pub bands: [ActivityBand; 3],
    /// An order after more than so many thousandths of the gap expected before it reactivates.
    pub reactivation_milli: i64,
}

/// A band of silence begins when more than each of these has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActivityBand {
    /// Thousandths of the expected gap.
    pub gap_milli: i64,
    /// Days.
    pub floor_days: i64,
    /// Thousandths of the own longest gap, where there are two or more.
    pub longest_milli: i64,
}

/// The `value_mode` dimension.
#[derive(Clone, Debug)]
pub struct ValueModeRules {
    /// Thousandths of the expected gap that the window spans.
    pub window_milli: i64,
    /// Bounds of the window in days.
    pub window_days: [i64; 2],
    /// Thousandths of the spend before that a difference has to exceed.
    pub change_milli: i64,
    /// Thousandths of a standard error that a difference has to exceed.
    pub z_milli: i64,
    /// Thousandths of the spend before from which on a new category or higher plan is expansion.
    pub wider_milli: i64,
}

/// The `engagement` dimension: scores at which a band is entered, and below which it is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngagementRules {
    /// Warm from here on.
    pub warm: u32,
    /// No longer warm below this.
    pub warm_leaves: u32,
    /// Hot from here on.
    pub hot: u32,
    /// No longer hot below this.
    pub hot_leaves: u32,
}

/// Perceived value.
#[derive(Clone, Debug)]
pub struct PerceivedRules {
    /// How long an answer counts, in ms.
    pub lasts_ms: i64,
    /// Weights of benefits, by name; 1 for others.
    pub benefit_weights: Vec<(String, u32)>,
    /// Weights of costs, by name; 1 for others.
    pub cost_weights: Vec<(String, u32)>,
}

/// The `qualification` dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QualificationRules {
    /// Sum of the six scores from which on a customer is qualified.
    pub qualified: u32,
    /// Score that economic buyer, pain and champion need.
    pub needed: u8,
    /// Age at which a needed element is stale, in ms.
    pub stale_ms: i64,
}

/// The `contacts` dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContactsRules {
    /// A contact is silent when its last event is older, in ms.
    pub silent_after_ms: i64,
    /// How far back contacts count as ones that came, or were lost, in ms.
    pub window_ms: i64,
    /// Score from which on a contact is a champion.
    pub champion_score: u8,
    /// How long after its last event a champion is missed, in ms.
    pub remember_ms: i64,
}

/// What stands between a raw value and the published one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AntiFlap {
    /// How long a value stays published at least, in ms.
    pub dwell_ms: i64,
    /// How long the value that was left is not taken again, in ms.
    pub cool_down_ms: i64,
}

/// What is emitted and how.
#[derive(Clone, Debug)]
pub struct OutputRules {
    /// Changes detected later than this after they, or the events that caused them, occurred are
    /// not actionable, in ms.
    pub act_within_ms: i64,
    /// Whether changes of a dimension are emitted, by [`Dimension::place`].
    pub dimensions: [bool; dimension::COUNT],
    /// Whether changes and profiles of subjects are written, in the order of [`Subject::ALL`].
    pub subjects: [bool; Subject::ALL.len()],
    /// Whether only dimensions are judged that are written, or that audiences ask for.
    pub only_written: bool,
    /// When profiles are written.
    pub profiles: ProfilesOn,
    /// Whether changes are without evidence, facts, dimensions, summary and consent.
    pub compact: bool,
}

/// When a profile is written; who is erased has theirs removed in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfilesOn {
    /// A published value is another one.
    Change,
    /// A fact is another one.
    Touch,
    /// Nobody reads them.
    Never,
}

/// What customers have to permit.
#[derive(Clone, Debug)]
pub struct ConsentRules {
    /// The purpose that changes of a dimension serve, by [`Dimension::place`].
    pub purposes: [Option<String>; dimension::COUNT],
    /// What becomes of changes whose purpose is not permitted, by purpose.
    pub policies: Vec<(String, ConsentPolicy)>,
}

/// Who is held out.
#[derive(Clone, Debug)]
pub struct HoldoutRules {
    /// Makes the buckets of one application independent of those of others.
    pub salt: String,
    /// Buckets below this are held out, by [`Dimension::place`]; 0 to 100.
    pub held: [u8; dimension::COUNT],
}
