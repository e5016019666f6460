//! From a changelog to a task: reads states and progress back, and refuses what does not fit.
//!
//! Never goes on with half a state: what disagrees is an error that says what to do.
//! Next: `prepare.rs`, which drives it.

use crate::codec::relay::decode_relayed;
use crate::codec::state::{
    Lineage, StateError, StateKey, VERSION, decode_mark, decode_progress, parse_key, unframe,
};
use crate::domain::progress::{OffsetMetadata, Phase, Progress};
use crate::mutation::Mutation;
use crate::runtime::broker::{ChangelogRecord, CommittedOffsets};
use crate::runtime::settings::WorkerError;
use crate::task::{PartitionTask, TaskConfig};
use std::collections::BTreeSet;

/// A changelog that is being read into a task.
#[derive(Debug)]
pub(super) struct Restore {
    /// The group's offsets, read before the changelog.
    pub(super) offsets: CommittedOffsets,
    progress: Option<Progress>,
    /// Monotonic ms of the start.
    pub(super) began_ms: i64,
    /// Records read.
    pub(super) records: u64,
    /// The changelog was read to its end.
    pub(super) complete: bool,
    /// The version of a record that this program cannot read.
    newer: Option<u8>,
    /// What was deleted under a key that this program does not know, which newer ones may.
    unknown: Option<StateError>,
    /// Ids with a state, when all of them are to be deleted.
    ids: Option<BTreeSet<String>>,
}

/// How a restored task goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// At its offsets.
    Ready,
    /// From the start of the inputs; nothing was ever committed.
    Fresh,
    /// From the start of the inputs in a new lineage, after these ids were deleted.
    Rebuild(Vec<String>),
    /// Not by this process.
    Blocked(String),
}

const REBUILD: &str = "hint: stop all instances and run `ebbflow run --rebuild` once, \
                       which starts a new lineage from the inputs";

const MAKE_ANEW: &str = "hint: stop all instances, delete the state topic, make it anew with \
                         `ebbflow topics --create` and run `ebbflow run --rebuild` once";

/// What a state topic that has lost records has lost with them.
const MARKS: &str = "; who was erased stood there alone: only those are marked anew whose \
                     erase_requested the inputs still hold, send the others' again before";

impl Restore {
    pub(super) fn new(offsets: CommittedOffsets, began_ms: i64, collects_ids: bool) -> Self {
        let ids = collects_ids.then(BTreeSet::new);
        Self {
            offsets,
            progress: None,
            began_ms,
            records: 0,
            complete: false,
            newer: None,
            unknown: None,
            ids,
        }
    }

    /// Takes records of the changelog in, oldest first; one of a newer version ends that, since
    /// nothing is known of what follows.
    pub(super) fn apply(
        &mut self,
        task: &mut PartitionTask,
        records: &[ChangelogRecord],
    ) -> Result<(), WorkerError> {
        let partition = task.partition();
        for record in records {
            self.records += 1;
            if self.newer.is_some() {
                continue;
            }
            let key = parse_key(&record.key);
            let result = match (key, &record.value) {
                (Ok(StateKey::Progress), Some(value)) => {
                    decode_progress(value).map(|progress| self.progress = Some(progress))
                }
                (Ok(StateKey::Progress), None) => {
                    self.progress = None;
                    Ok(())
                }
                (Ok(StateKey::Customer(_)), None) if Mutation::TombstonesIgnored.is_on() => Ok(()),
                (Ok(StateKey::Customer(id)), value) => {
                    if let Some(ids) = &mut self.ids {
                        match value {
                            Some(_) => ids.insert(id.to_owned()),
                            None => ids.remove(id),
                        };
                        continue;
                    }
                    let packed = value.as_deref().map(unframe).transpose();
                    packed.and_then(|packed| {
                        task.restore_state(id, packed)
                            .map_err(|error| StateError::Damaged(error.to_string()))
                    })
                }
                (Ok(StateKey::Erased(id)), value) => {
                    let erasure = value.as_deref().map(decode_mark).transpose();
                    erasure.map(|erasure| task.restore_mark(id, erasure))
                }
                (Ok(StateKey::Waiting(number)), value) => {
                    let waiting = value.as_deref().map(decode_relayed).transpose();
                    waiting.map(|waiting| {
                        let relayed = waiting.map(|(_, relayed)| relayed.into_owned());
                        task.restore_wait(number, relayed);
                    })
                }
                // What newer programs have keys for.
                (Err(error), Some(value)) => match unframe(value) {
                    Err(newer @ StateError::Newer(_)) => Err(newer),
                    _ => Err(error),
                },
                (Err(error), None) => {
                    self.unknown.get_or_insert(error);
                    Ok(())
                }
            };
            if let Err(StateError::Newer(version)) = result {
                self.newer = Some(version);
                continue;
            }
            result.map_err(|error| damaged(partition, &error))?;
        }
        Ok(())
    }

    /// The changelog was read to its end: checks everything and sets the task up.
    pub(super) fn finish(
        self,
        task: &mut PartitionTask,
        config: &TaskConfig,
        begun: Lineage,
        forgetful: bool,
    ) -> Result<Restored, WorkerError> {
        let (partition, lineage) = (task.partition(), begun.number);
        if let Some(progress) = &self.progress
            && progress.partitions != config.partitions
        {
            return Err(WorkerError::Refused(format!(
                "the inputs have {} partitions, but the state of partition {partition} was \
                 written for {}; customers would be looked for in the wrong place; \
                 hint: create new topics under another topics.prefix and application_id with the \
                 new count and run the history through them, or set the old count back",
                config.partitions, progress.partitions
            )));
        }
        if let Some(version) = self.newer {
            return Ok(Restored::Blocked(format!(
                "its state was written in version {version} by a newer program, this one reads \
                 versions up to {VERSION}"
            )));
        }
        if let Some(error) = self.unknown {
            return Err(damaged(partition, &error));
        }
        if begun.rules_revision > config.rules.identity.revision {
            return Ok(Restored::Blocked(format!(
                "its lineage was begun with rules revision {}, this instance has {}",
                begun.rules_revision, config.rules.identity.revision
            )));
        }
        if let Some(commit_counter) = self.begins_anew(lineage) {
            task.begin_anew(lineage, commit_counter);
            return Ok(Restored::Rebuild(self.ids.unwrap_or_default().into_iter().collect()));
        }
        let committed = self.offsets.next_offsets.iter().any(Option::is_some);
        let Some(progress) = self.progress else {
            if !task.store().is_empty() || (committed && !forgetful) {
                return Err(WorkerError::Failed(format!(
                    "partition {partition}: {}, but the state topic has no progress record; \
                     it was deleted or truncated; {}{MARKS}",
                    if committed { "offsets are committed" } else { "there are customer states" },
                    if committed { REBUILD } else { MAKE_ANEW }
                )));
            }
            return Ok(Restored::Fresh);
        };
        if progress.lineage > lineage {
            return Err(WorkerError::Failed(format!(
                "partition {partition}: its progress is of lineage {}, but the last that the \
                 control topic knows is {lineage}; it was deleted or truncated; hint: bring its \
                 record back, or stop all instances and run `ebbflow run --rebuild` {} times, one \
                 after the other",
                progress.lineage,
                progress.lineage - lineage + 1
            )));
        }
        check_offsets(partition, &progress, &self.offsets)?;
        let found = task.store().len() as u64;
        if found != progress.customers {
            return Err(WorkerError::Failed(format!(
                "partition {partition}: the state topic has {found} customers, its progress names \
                 {}; it was truncated, by delete-records or by retention; {REBUILD}{MARKS}",
                progress.customers
            )));
        }
        let marks = task.erasures();
        if marks != progress.erased {
            return Err(WorkerError::Failed(format!(
                "partition {partition}: the state topic has {marks} marks of erased customers, its \
                 progress names {}; it was truncated, by delete-records or by retention; \
                 {REBUILD}{MARKS}",
                progress.erased
            )));
        }
        let waiting = task.waiting();
        if waiting != progress.waiting {
            return Err(WorkerError::Failed(format!(
                "partition {partition}: the state topic has {waiting} records that wait for other \
                 partitions, its progress names {}; it was truncated, by delete-records or by \
                 retention; {REBUILD}{MARKS}",
                progress.waiting
            )));
        }
        let ours = &config.rules.identity;
        if progress.rules_revision > ours.revision && !Mutation::LowerRevisionRuns.is_on() {
            return Ok(Restored::Blocked(format!(
                "its state was written by rules revision {}, this instance has {}",
                progress.rules_revision, ours.revision
            )));
        }
        let same_revision = progress.rules_revision == ours.revision;
        if same_revision && *progress.rules_hash != *ours.hash {
            return Err(WorkerError::Refused(format!(
                "partition {partition}: its state was written by rules revision {} with hash {}, \
                 this instance has the same revision with hash {}; hint: set the rules back, or \
                 raise rules.revision; if it is the state of another deployment, give this one an \
                 application_id and topics of its own",
                progress.rules_revision, progress.rules_hash, ours.hash
            )));
        }
        if *progress.fold_hash != *ours.fold_hash {
            return Err(WorkerError::Refused(format!(
                "partition {partition}: rules revision {} changes what events leave behind \
                 (base_currency, engagement.weights, engagement.daily_cap, half-lives, costs, \
                 accounts or erase.salt), which revision {} has used already; {REBUILD}; `ebbflow \
                 check-config --against` the configuration that ran says which key it is",
                ours.revision, progress.rules_revision
            )));
        }
        if !config.rules.rates.agrees_with(&progress.rates, progress.latest_order_at) {
            return Err(WorkerError::Refused(format!(
                "partition {partition}: its state was computed with other rates ({}) up to {}; \
                 hint: set them back, a rate may be added for a later day only; or raise \
                 rules.revision and rebuild",
                progress.rates, progress.latest_order_at
            )));
        }
        task.restore_progress(&progress)
            .map_err(|error| WorkerError::Refused(format!("partition {partition}: {error}")))?;
        Ok(Restored::Ready)
    }

    /// Whether the group's offsets and the customers are those of the progress that was read.
    pub(super) fn agrees(&self, task: &PartitionTask) -> bool {
        let Some(progress) = &self.progress else {
            return self.offsets.next_offsets.iter().all(Option::is_none);
        };
        let whole = self.ids.is_some()
            || (task.store().len() as u64 == progress.customers
                && task.erasures() == progress.erased
                && task.waiting() == progress.waiting);
        whole && check_offsets(task.partition(), progress, &self.offsets).is_ok()
    }

    /// Whether it has to be read again, and if so, whether for the ids alone: because all of them
    /// are to be deleted, or because another instance has done so meanwhile.
    pub(super) fn reads_otherwise(&self, lineage: u32) -> Option<bool> {
        let anew = self.begins_anew(lineage).is_some();
        (self.ids.is_some() != anew).then_some(anew)
    }

    /// Whether what was read is of a later lineage than this.
    pub(super) fn is_ahead_of(&self, lineage: u32) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.lineage > lineage)
    }

    /// The commits so far, when the task has to begin anew: what is there is of an older lineage,
    /// or its deletion was under way.
    fn begins_anew(&self, lineage: u32) -> Option<u64> {
        if let Some(progress) = &self.progress {
            let anew = progress.lineage < lineage || progress.phase == Phase::Purging;
            return anew.then_some(progress.commit_counter);
        }
        // The state topic was lost: of a lineage that began since then the offsets know nothing.
        // Offsets that somebody else has set tell of no lineage at all.
        if self.offsets.next_offsets.iter().all(Option::is_none) {
            return None;
        }
        let told = self.offsets.metadata.as_deref().and_then(OffsetMetadata::parse);
        let (of, commit_counter) =
            told.map_or((Lineage::FIRST.number, 0), |told| (told.lineage, told.commit_counter));
        (of < lineage).then_some(commit_counter)
    }
}

fn check_offsets(
    partition: u32,
    progress: &Progress,
    offsets: &CommittedOffsets,
) -> Result<(), WorkerError> {
    if offsets.next_offsets.iter().all(Option::is_none) {
        return Err(WorkerError::Failed(format!(
            "partition {partition}: the consumer group has no offsets, but the state topic has \
             progress at {:?}; they have expired or the group was deleted; {REBUILD}",
            progress.next_offsets
        )));
    }
    let told = offsets.metadata.as_deref().and_then(OffsetMetadata::parse);
    let agree = offsets.next_offsets == progress.next_offsets.map(Some)
        && told.is_none_or(|told| told.commit_counter == progress.commit_counter);
    if agree {
        return Ok(());
    }
    Err(WorkerError::Failed(format!(
        "partition {partition}: the group's offsets {:?} (metadata {:?}) disagree with the state \
         topic's progress at {:?} (commit {}); offsets were reset by hand, another program commits \
         for the same consumer group, or the state topic was truncated; {REBUILD}",
        offsets.next_offsets, offsets.metadata, progress.next_offsets, progress.commit_counter
    )))
}

fn damaged(partition: u32, error: &StateError) -> WorkerError {
    WorkerError::Failed(format!(
        "restoring partition {partition} failed: a record of the state topic: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::state::PROGRESS_KEY;
    use crate::config::{FileText, from_sources};
    use crate::domain::customer::Customer;
    use crate::domain::pack::pack;
    use crate::domain::time::Timestamp;
    use std::path::Path;

    fn config(text: &str) -> TaskConfig {
        let file = FileText { path: Path::new("test.toml"), text };
        let config = from_sources(Some(file), [], &[]).expect("a valid configuration").config;
        TaskConfig {
            application_id: "test".into(),
            partition: 0,
            partitions: 1,
            rules: config.rules,
            keys_are_trusted: true,
            profiles_on_touch: false,
            run_id: "run".into(),
            rebuilt_at: Timestamp::MIN,
        }
    }

    /// By a program of this configuration, from a state of version 2 by the defaults of then.
    fn from_version_2(text: &str) -> Result<Restored, WorkerError> {
        let progress = r#"{"next_offsets":[0,7,0],"highest":[0,0,0],"clock":0,"commit_counter":1,
            "customers":1,"partitions":1,"rules_revision":1,"rules_hash":"8b0658a6dfe47b32",
            "fold_hash":"21bdc78010e088ba","latest_order_at":0,"rfm_values":[],"lineage":1,
            "control_offset":0,"cursor":null,"phase":"live"}"#;
        let config = config(text);
        let mut customer = vec![VERSION - 1];
        let base = config.rules.rates.base();
        pack(&Customer::new("c-1", Timestamp(5), 1), base, &mut customer);
        let records = [
            ChangelogRecord { key: b"cc-1".to_vec(), value: Some(customer) },
            ChangelogRecord {
                key: PROGRESS_KEY.to_vec(),
                value: Some([&[VERSION - 1], progress.as_bytes()].concat()),
            },
        ];
        let next_offsets = [Some(0), Some(7), Some(0)];
        let offsets = CommittedOffsets { next_offsets, metadata: None };
        let mut task = PartitionTask::new(config.clone(), 1, Phase::Live);
        let mut restore = Restore::new(offsets, 0, false);
        restore.apply(&mut task, &records)?;
        restore.finish(&mut task, &config, Lineage::FIRST, false)
    }

    #[test]
    fn a_state_of_version_2_goes_on_with_the_accounts_that_are_the_default() {
        let refused = |text: &str| match from_version_2(text) {
            Err(WorkerError::Refused(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(refused("").contains("the same revision"));
        let raised = "[rules]\nrevision = 2\n";
        assert_eq!(from_version_2(raised).expect("the fold of then"), Restored::Ready);
        let other = format!("{raised}[accounts]\ncosts = \"person\"\n");
        assert!(refused(&other).contains("--rebuild"));
    }

    fn restored(metadata: Option<&str>, begun: Lineage) -> Result<Restored, WorkerError> {
        restored_of(&[], metadata, begun)
    }

    fn restored_of(
        records: &[ChangelogRecord],
        metadata: Option<&str>,
        begun: Lineage,
    ) -> Result<Restored, WorkerError> {
        let config = TaskConfig { rebuilt_at: begun.began_at, ..config("") };
        let offsets = CommittedOffsets {
            next_offsets: [None, Some(7), None],
            metadata: metadata.map(ToOwned::to_owned),
        };
        let mut task = PartitionTask::new(config.clone(), begun.number, Phase::Live);
        let mut restore = Restore::new(offsets, 0, true);
        restore.apply(&mut task, records)?;
        restore.finish(&mut task, &config, begun, false)
    }

    #[test]
    fn offsets_that_somebody_has_set_are_refused_and_a_rebuild_is_the_way_out() {
        for metadata in [None, Some(""), Some("by hand")] {
            let refused = restored(metadata, Lineage::FIRST).expect_err("a refusal");
            assert!(refused.to_string().contains("--rebuild"), "{refused}");
            let rebuilt = restored(metadata, Lineage { number: 2, ..Lineage::FIRST });
            assert!(matches!(rebuilt, Ok(Restored::Rebuild(_))), "{rebuilt:?}");
        }
    }

    #[test]
    fn the_state_of_a_newer_program_blocks_a_task_whatever_follows() {
        let newer = |key: &[u8]| ChangelogRecord {
            key: key.to_vec(),
            value: Some(vec![VERSION + 1, 0xff]),
        };
        let follows = ChangelogRecord { key: b"?".to_vec(), value: None };
        let orders = [PROGRESS_KEY, b"new kind of key"]
            .map(newer)
            .into_iter()
            .flat_map(|newer| [[newer.clone(), follows.clone()], [follows.clone(), newer]]);
        for records in orders {
            let Ok(Restored::Blocked(reason)) = restored_of(&records, None, Lineage::FIRST) else {
                panic!("it runs")
            };
            let newer = format!("version {} by a newer program", VERSION + 1);
            assert!(reason.contains(&newer), "{reason}");
        }
        let damaged = restored_of(&[follows], None, Lineage::FIRST).expect_err("a failure");
        assert!(damaged.to_string().contains("unknown key"), "{damaged}");
    }

    #[test]
    fn a_lineage_that_was_begun_with_newer_rules_is_not_run_with_older_ones() {
        let begun = Lineage { number: 2, rules_revision: 9, ..Lineage::FIRST };
        let Ok(Restored::Blocked(reason)) = restored(None, begun) else { panic!("it runs") };
        assert!(reason.contains("revision 9, this instance has 1"), "{reason}");
    }
}
