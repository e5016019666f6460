//! Whether the Kafka cluster answers, as the questions of all workers show it.
//!
//! Logs an outage with a line when it begins, one a minute, and one when it ends. Decides nothing;
//! time is an argument. Next: `mod.rs`; `kafka/ends.rs`, which asks ten times a second.

use crate::domain::time::Timestamp;
use crate::runtime::status::lock;
use std::fmt;
use std::sync::Mutex;

/// Without an answer for so long the cluster is away; what is shorter is a change of leaders.
const AWAY_AFTER_MS: i64 = 4_000;
/// Time between two lines about one outage.
const TELL_EVERY_MS: i64 = 60_000;

/// What all workers have seen of the cluster.
#[derive(Debug, Default)]
pub struct ClusterHealth {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answered: bool,
    /// By worker, since the first question of a row that was not answered.
    silences: Vec<Option<Silence>>,
    /// Of the outage that was logged: its beginning, and when the next line is due.
    told: Option<(Timestamp, Timestamp)>,
}

#[derive(Clone, Debug)]
struct Silence {
    away: Away,
    /// Long enough to be told.
    counts: bool,
}

/// A cluster that does not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Away {
    /// Wall time of the first question that was not answered.
    pub since: Timestamp,
    /// The last error, with what the client told and what to check.
    pub error: String,
}

impl fmt::Display for Away {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the cluster has not answered since {}: {}", self.since, self.error)
    }
}

/// A line of the log.
#[derive(PartialEq, Eq, Debug)]
enum Line {
    Begins { error: String },
    GoesOn { seconds: i64, error: String },
    Ends { seconds: i64 },
}

impl ClusterHealth {
    /// The cluster answered a worker at `now` (wall time).
    pub fn answered(&self, worker: usize, now: Timestamp) {
        log(self.note_answer(worker, now));
    }

    /// A worker's question of `asked_at` was not answered until `now` (wall times).
    pub fn failed(&self, worker: usize, asked_at: Timestamp, now: Timestamp, error: &str) {
        log(self.note_failure(worker, asked_at, now, error));
    }

    /// Since when and why the cluster is away, if it is.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        lock(&self.state).away()
    }

    /// Whether the cluster has answered and is not away.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let state = lock(&self.state);
        state.answered && state.away().is_none()
    }

    fn note_answer(&self, worker: usize, now: Timestamp) -> Option<Line> {
        let mut state = lock(&self.state);
        state.answered = true;
        if let Some(silence) = state.silences.get_mut(worker) {
            *silence = None;
        }
        if state.away().is_some() {
            return None;
        }
        let (since, _) = state.told.take()?;
        Some(Line::Ends { seconds: now.since(since) / 1000 })
    }

    fn note_failure(
        &self,
        worker: usize,
        asked_at: Timestamp,
        now: Timestamp,
        error: &str,
    ) -> Option<Line> {
        let mut state = lock(&self.state);
        if state.silences.len() <= worker {
            state.silences.resize(worker + 1, None);
        }
        let silence = state.silences[worker].get_or_insert_with(|| Silence {
            away: Away { since: asked_at, error: String::new() },
            counts: false,
        });
        error.clone_into(&mut silence.away.error);
        silence.counts |= now.since(silence.away.since) >= AWAY_AFTER_MS;
        let away = state.away()?;
        let next = now.plus_ms(TELL_EVERY_MS);
        match state.told {
            None => {
                state.told = Some((away.since, next));
                Some(Line::Begins { error: away.error })
            }
            Some((since, due)) if now >= due => {
                state.told = Some((since, next));
                // The hint was told when it began.
                let error = away.error.split("; hint: ").next().unwrap_or_default().to_owned();
                Some(Line::GoesOn { seconds: now.since(since) / 1000, error })
            }
            Some(_) => None,
        }
    }
}

impl State {
    fn away(&self) -> Option<Away> {
        let silences = self.silences.iter().flatten().filter(|silence| silence.counts);
        silences.min_by_key(|silence| silence.away.since).map(|silence| silence.away.clone())
    }
}

fn log(line: Option<Line>) {
    match line {
        None => {}
        Some(Line::Begins { error }) => {
            tracing::warn!(error, "the cluster does not answer; trying again");
        }
        Some(Line::GoesOn { seconds, error }) => {
            tracing::warn!(seconds, error, "the cluster still does not answer");
        }
        Some(Line::Ends { seconds }) => tracing::warn!(seconds, "the cluster answers again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn an_outage_has_a_line_when_it_begins_one_a_minute_and_one_when_it_ends() {
        let health = ClusterHealth::default();
        assert!(!health.is_up(), "nothing was answered yet");
        assert_eq!(health.note_answer(0, at(99)), None);
        assert!(health.is_up());
        let mut lines = Vec::new();
        for second in 100..270 {
            let (asked_at, now) = (at(second), at(second + 1));
            lines.extend(health.note_failure(0, asked_at, now, "all brokers down; hint: look"));
        }
        let away = health.away().expect("it is away");
        assert_eq!(
            away.to_string(),
            "the cluster has not answered since 1970-01-01T00:01:40.000Z: all brokers down; \
             hint: look"
        );
        assert!(!health.is_up());
        lines.extend(health.note_answer(0, at(271)));
        assert_eq!(health.note_answer(0, at(272)), None);
        assert!(health.is_up());
        let error = || "all brokers down".to_owned();
        assert_eq!(
            lines,
            [
                Line::Begins { error: "all brokers down; hint: look".to_owned() },
                Line::GoesOn { seconds: 64, error: error() },
                Line::GoesOn { seconds: 124, error: error() },
                Line::Ends { seconds: 171 },
            ]
        );
    }

    #[test]
    fn a_change_of_leaders_is_no_outage() {
        let health = ClusterHealth::default();
        assert_eq!(health.note_failure(0, at(10), at(11), "not leader"), None);
        assert_eq!(health.note_failure(0, at(11), at(13), "not leader"), None);
        assert_eq!(health.away(), None);
        assert_eq!(health.note_answer(0, at(14)), None);
        assert_eq!(health.note_failure(0, at(20), at(22), "not leader"), None);
        assert!(health.is_up());
    }

    #[test]
    fn it_is_one_outage_however_many_workers_see_it() {
        let health = ClusterHealth::default();
        let fail = |worker, now| health.note_failure(worker, at(0), at(now), "down");
        assert!(fail(1, 5).is_some());
        assert_eq!(fail(0, 6), None);
        assert_eq!(health.note_answer(1, at(7)), None, "worker 0 has no answer yet");
        assert!(!health.is_up());
        assert_eq!(health.note_answer(0, at(8)), Some(Line::Ends { seconds: 8 }));
    }
}
