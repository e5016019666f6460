//! A second lineage of a run, from what its inputs have not forgotten.
//!
//! Next: `run.rs`, which asks for it.

use crate::simulation::cluster::Topic;
use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use crate::simulation::run::Run;
use crate::simulation::stage::{EPOCH, SESSION_MS};
use ebbflow::codec::state::{LINEAGE_KEY, Lineage, encode_lineage};
use ebbflow::domain::time::Timestamp;

impl Run {
    /// Everything again in a second lineage, from what the inputs have not forgotten and what is
    /// new; gives what it has left. A process may have stood still meanwhile.
    pub(crate) fn rebuild(&mut self, first: &[Partition]) -> Result<Vec<Partition>, String> {
        // Whoever begins a lineage waits until the group has no members.
        self.stage.pass(SESSION_MS + 1);
        self.forget_inputs();
        for _ in 0..self.random.below(4) {
            let at = EPOCH.plus_days(self.random.between(0, 100));
            let record = self.workload.record(at, at);
            self.append(vec![record]);
        }
        let began_at = self.begin_lineage();
        self.stage.start_again(&self.ends());
        self.play_to_the_end()?;
        self.left_again(first, began_at)
    }

    /// Retention deletes some of the inputs.
    pub(crate) fn forget_inputs(&mut self) {
        let mut cluster = self.stage.cluster.borrow_mut();
        for partition in 0..self.partitions {
            for topic in Topic::INPUTS {
                let log = cluster.log(topic, partition);
                let kept = self.random.between(log.low(), log.end());
                if self.random.chance(300) {
                    log.delete_before(kept);
                }
            }
        }
    }

    /// A second lineage; gives its beginning.
    pub(crate) fn begin_lineage(&self) -> Timestamp {
        let began_at = EPOCH.plus_ms(self.stage.now_ms());
        let lineage = encode_lineage(Lineage { number: 2, began_at, ..Lineage::FIRST });
        let record =
            Payload { key: Some(LINEAGE_KEY.to_vec()), value: Some(lineage), ..Payload::default() };
        self.stage.cluster.borrow_mut().log(Topic::Control, 0).append(record, None);
        began_at
    }
}
