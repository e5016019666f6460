//! One process's transactional producer on the simulated cluster.
//!
//! States and errors are those of librdkafka, as `tests/conformance` compares them: after an error
//! that asks for an abort nothing but `abort` succeeds; after a fence nothing but `init_producer`;
//! after a commit without an answer nothing but `commit` is allowed. Next: `stage.rs`.

use crate::simulation::broker::SimBroker;
use crate::simulation::cluster::{Refused, Topic};
use crate::simulation::faults::Fault;
use crate::simulation::log::Payload;
use crate::simulation::stage::TRANSACTION_MS;
use ebbflow::runtime::broker::{BrokerError, Ended, OutRecord, Sent, TaskOffsets};
use std::collections::VecDeque;

type Waiting = VecDeque<((Topic, u32), Payload)>;

/// Where the producer stands.
#[derive(Debug)]
pub(crate) enum Producing {
    /// There is none.
    None,
    Idle {
        epoch: u32,
    },
    Open {
        epoch: u32,
        began_ms: i64,
        queue: Waiting,
        /// Nothing was sent in it: the coordinator does not know of it, nor asks whose it is.
        empty: bool,
    },
    MustAbort {
        epoch: u32,
        reason: String,
        /// Records were numbered that may not have reached the log.
        undelivered: bool,
    },
    /// The end of the transaction was asked for and has not been answered so often.
    Ending {
        epoch: u32,
        commit: bool,
        unanswered: usize,
    },
    Fenced,
}

fn fenced() -> BrokerError {
    BrokerError::Fenced("the producer was fenced".to_owned())
}

impl SimBroker {
    pub(super) fn producer_init(&mut self) -> Result<(), BrokerError> {
        if self.is_down() || self.stage.strikes(Fault::InitUnanswered) {
            self.stage.pass(200);
            return Err(BrokerError::Retriable("no answer to init".to_owned()));
        }
        let epoch = self.stage.cluster.borrow_mut().init(self.instance);
        if self.stage.strikes(Fault::InitAnswerLost) {
            self.stage.pass(200);
            return Err(BrokerError::Retriable("the answer to init was lost".to_owned()));
        }
        self.producing = Producing::Idle { epoch };
        Ok(())
    }

    pub(super) fn producer_begin(&mut self) -> Result<(), BrokerError> {
        match self.producing {
            Producing::Idle { epoch } => {
                let began_ms = self.stage.now_ms();
                let queue = VecDeque::new();
                self.producing = Producing::Open { epoch, began_ms, queue, empty: true };
                Ok(())
            }
            Producing::Fenced => Err(fenced()),
            _ => panic!("begin while the producer is {:?}", self.producing),
        }
    }

    /// The epoch of the open transaction.
    fn open(&self) -> Result<u32, BrokerError> {
        match &self.producing {
            Producing::Open { epoch, .. } => Ok(*epoch),
            Producing::MustAbort { reason, .. } => Err(BrokerError::Abort(reason.clone())),
            Producing::Fenced => Err(fenced()),
            other => panic!("no transaction is open: {other:?}"),
        }
    }

    fn must_abort(&mut self, epoch: u32, reason: &str) -> BrokerError {
        let undelivered = self.has_undelivered();
        let reason = reason.to_owned();
        self.producing = Producing::MustAbort { epoch, reason: reason.clone(), undelivered };
        BrokerError::Abort(reason)
    }

    /// Whether an abort leaves a gap in the numbers of records, with which nothing more can be
    /// sent.
    fn has_undelivered(&self) -> bool {
        match &self.producing {
            Producing::Open { queue, .. } => !queue.is_empty(),
            Producing::MustAbort { undelivered, .. } => *undelivered,
            _ => false,
        }
    }

    /// From here on the coordinator knows of the open transaction.
    fn fill(&mut self) {
        if let Producing::Open { empty, .. } = &mut self.producing {
            *empty = false;
        }
    }

    /// Ends an open transaction that nothing was sent in, without asking anybody.
    fn end_empty(&mut self) -> Option<Ended> {
        let Producing::Open { epoch, empty: true, .. } = self.producing else { return None };
        self.producing = Producing::Idle { epoch };
        Some(Ended { renew_producer: false })
    }

    fn refused(&mut self, epoch: u32, refused: Refused) -> BrokerError {
        match refused {
            Refused::StaleMember => self.must_abort(epoch, "the group's generation is stale"),
            Refused::Fenced => {
                self.producing = Producing::Fenced;
                fenced()
            }
        }
    }

    pub(super) fn producer_send(&mut self, record: &OutRecord<'_>) -> Result<Sent, BrokerError> {
        let epoch = self.open()?;
        self.fill();
        if self.stage.strikes(Fault::SendRefused) {
            return Err(self.must_abort(epoch, "a record was refused"));
        }
        if self.stage.strikes(Fault::TransactionTimeout) {
            self.stage.cluster.borrow_mut().expire(self.instance, true);
        }
        if self.stage.strikes(Fault::QueueFull) {
            return Ok(Sent::QueueFull);
        }
        let topic = Topic::from(record.output);
        let headers = record.headers.iter();
        let payload = Payload {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            ..Payload::default()
        };
        if let Producing::Open { queue, .. } = &mut self.producing {
            queue.push_back(((topic, record.partition), payload));
        }
        Ok(Sent::Queued)
    }

    pub(super) fn producer_drained(&mut self) -> Result<bool, BrokerError> {
        if matches!(self.producing, Producing::MustAbort { undelivered: false, .. }) {
            // It knows of no record that has failed.
            return Ok(true);
        }
        let epoch = self.open()?;
        if self.is_down() {
            let Producing::Open { began_ms, queue, .. } = &self.producing else { return Ok(false) };
            if queue.is_empty() {
                return Ok(true);
            }
            if self.stage.now_ms() - began_ms > TRANSACTION_MS {
                return Err(self.must_abort(epoch, "a record was not delivered in time"));
            }
            self.stage.pass(20);
            return Ok(false);
        }
        let count = 1 + self.stage.below(20);
        for _ in 0..count {
            let Producing::Open { queue, .. } = &mut self.producing else { break };
            let Some((place, payload)) = queue.pop_front() else { break };
            let delayed = self.stage.strikes(Fault::DelayedRecord);
            let ms = self.stage.below(*self.stage.pick(&[20, 1_000, 8_000]));
            let mut cluster = self.stage.cluster.borrow_mut();
            let produced = if delayed {
                let ms = i64::try_from(1 + ms).unwrap();
                cluster.delay_record(ms, (self.instance, epoch), place, payload)
            } else {
                cluster.produce((self.instance, epoch), place, payload)
            };
            drop(cluster);
            if let Err(error) = produced {
                return Err(self.refused(epoch, error));
            }
            if delayed || self.stage.strikes(Fault::Undelivered) {
                let error = self.must_abort(epoch, "a record was not delivered");
                if let Producing::MustAbort { undelivered, .. } = &mut self.producing {
                    *undelivered = true;
                }
                return Err(error);
            }
        }
        Ok(matches!(&self.producing, Producing::Open { queue, .. } if queue.is_empty()))
    }

    pub(super) fn producer_send_offsets(
        &mut self,
        offsets: &[TaskOffsets],
    ) -> Result<(), BrokerError> {
        assert!(!offsets.is_empty(), "an empty list is not fenced by the group");
        self.is_still_the_member()?;
        let epoch = self.open()?;
        self.fill();
        if self.is_down() || self.stage.strikes(Fault::OffsetsUnanswered) {
            self.stage.pass(500);
            return Err(BrokerError::Retriable("no answer to the offsets".to_owned()));
        }
        if self.stage.strikes(Fault::OffsetsRefused) {
            return Err(self.must_abort(epoch, "the offsets were refused"));
        }
        let Some(generation) = self.generation else {
            panic!("offsets are sent without a generation");
        };
        let member = (self.instance, self.member, generation);
        let mut cluster = self.stage.cluster.borrow_mut();
        let added = cluster.add_offsets((self.instance, epoch), member, offsets);
        drop(cluster);
        added.map_err(|error| self.refused(epoch, error))?;
        if self.stage.strikes(Fault::OffsetsAnswerLost) {
            self.stage.pass(500);
            return Err(BrokerError::Retriable("the answer to the offsets was lost".to_owned()));
        }
        Ok(())
    }

    fn end(&mut self, epoch: u32, commit: bool) -> Result<(), BrokerError> {
        let ended = self.stage.cluster.borrow_mut().end((self.instance, epoch), commit);
        ended.map_err(|error| self.refused(epoch, error))
    }

    fn ended(&mut self, epoch: u32, commit: bool, renew: bool) -> Ended {
        let delayed = self.stage.strikes(Fault::DelayedEnd);
        if delayed {
            let ms = i64::try_from(1 + self.stage.below(*self.stage.pick(&[20, 1_000, 8_000])));
            let mut cluster = self.stage.cluster.borrow_mut();
            cluster.delay_end(ms.unwrap(), (self.instance, epoch), commit);
        }
        let renew_producer = renew || delayed || self.stage.strikes(Fault::SlowEnd);
        // Nothing keeps a producer that has to be renewed from beginning again.
        self.producing = Producing::Idle { epoch };
        Ended { renew_producer }
    }

    fn unanswered(&mut self, epoch: u32, commit: bool) -> BrokerError {
        let unanswered = self.stage.below(6);
        self.producing = Producing::Ending { epoch, commit, unanswered };
        self.stage.pass(1_000);
        BrokerError::Retriable("no answer to the end of the transaction".to_owned())
    }

    pub(super) fn producer_commit(&mut self) -> Result<Ended, BrokerError> {
        self.is_still_the_member()?;
        if let Some(ended) = self.end_empty() {
            return Ok(ended);
        }
        if let Producing::Ending { epoch, commit, unanswered } = self.producing {
            assert!(commit, "a commit while an abort has not been answered");
            return self.end_again(epoch, commit, unanswered);
        }
        let epoch = self.open()?;
        if let Producing::Open { queue, .. } = &self.producing {
            assert!(queue.is_empty(), "a commit with records in the queue costs 100 ms");
        }
        if self.is_down() || self.stage.strikes(Fault::CommitUnanswered) {
            return Err(self.unanswered(epoch, true));
        }
        if self.stage.strikes(Fault::CommitRefused) {
            return Err(self.must_abort(epoch, "the commit was refused"));
        }
        if self.stage.strikes(Fault::CommitFenced) {
            self.stage.cluster.borrow_mut().fence(self.instance);
        }
        self.end(epoch, true)?;
        if self.stage.strikes(Fault::CommitFencedAfterwards) {
            self.producing = Producing::Fenced;
            return Err(fenced());
        }
        if self.stage.strikes(Fault::CommitAnswerLost) {
            return Err(self.unanswered(epoch, true));
        }
        Ok(self.ended(epoch, true, false))
    }

    fn end_again(
        &mut self,
        epoch: u32,
        commit: bool,
        unanswered: usize,
    ) -> Result<Ended, BrokerError> {
        if unanswered > 0 || self.is_down() {
            let unanswered = unanswered.saturating_sub(1);
            self.producing = Producing::Ending { epoch, commit, unanswered };
            self.stage.pass(1_000);
            return Err(BrokerError::Retriable("still no answer".to_owned()));
        }
        self.end(epoch, commit)?;
        Ok(self.ended(epoch, commit, true))
    }

    pub(super) fn producer_abort(&mut self) -> Result<Ended, BrokerError> {
        if let Some(ended) = self.end_empty() {
            return Ok(ended);
        }
        let gap = self.has_undelivered();
        let epoch = match self.producing {
            Producing::Ending { epoch, commit, unanswered } => {
                assert!(!commit, "an abort while a commit has not been answered");
                return self.end_again(epoch, commit, unanswered);
            }
            Producing::Open { epoch, .. } | Producing::MustAbort { epoch, .. } => epoch,
            Producing::Fenced => return Err(fenced()),
            _ => panic!("no transaction is open: {:?}", self.producing),
        };
        if self.is_down() || self.stage.strikes(Fault::AbortUnanswered) {
            return Err(self.unanswered(epoch, false));
        }
        if self.stage.strikes(Fault::AbortFenced) {
            self.stage.cluster.borrow_mut().fence(self.instance);
        }
        self.end(epoch, false)?;
        if self.stage.strikes(Fault::AbortAnswerLost) {
            return Err(self.unanswered(epoch, false));
        }
        Ok(self.ended(epoch, false, gap))
    }
}
