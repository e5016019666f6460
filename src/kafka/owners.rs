//! Who is in the group and has which partition, as the group's coordinator tells it.
//!
//! For people who ask the wrong instance, for what must not be done beside other members, and to
//! notice members that do not belong there; nothing is processed or committed by it. Source: Kafka
//! protocol, "ConsumerProtocolAssignment". Next: `service.rs`, which asks now and then.

use crate::config::Config;
use crate::kafka::batch::offset_metadata;
use crate::kafka::client::{Clients, ConnectMode, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::ends::number;
use crate::kafka::mark::Mark;
use crate::runtime::broker::BrokerError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupMemberInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The members of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The client id by partition of the inputs.
    pub owners: BTreeMap<u32, String>,
    /// Members of another program, or of another deployment with other inputs, and why.
    pub strangers: Vec<String>,
}

/// Asks for the members of the group and their partitions.
pub struct Owners {
    consumer: BaseConsumer<PlainContext>,
    group_id: String,
    /// The inputs, `purchases` first.
    topics: [String; 3],
    /// The client id of this process's first worker.
    own: String,
    mark: Mark,
}

impl Owners {
    /// A client that never joins the group.
    ///
    /// # Errors
    /// `Fatal` when a setting is refused.
    pub fn new(config: &Config) -> Result<Self, BrokerError> {
        let clients = Clients::new(config, 0, ConnectMode::Cluster);
        let settings = clients.group_observer();
        Ok(Self {
            mark: clients.mark.clone(),
            own: settings.get("client.id").unwrap_or_default().to_owned(),
            consumer: create(&settings, clients.plain_context())?,
            group_id: config.application_id.clone(),
            topics: [&config.topics.purchases, &config.topics.interactions, &config.topics.relay]
                .map(Clone::clone),
        })
    }

    /// The client id of each partition's owner, and who has no business in the group.
    ///
    /// # Errors
    /// `Retriable` when the coordinator does not answer.
    pub fn ask(&self) -> Result<Members, BrokerError> {
        let mut members = Members::default();
        let prefix = format!("{}-", self.group_id);
        self.each_member(|member| {
            let assigned = member.assignment().and_then(assigned).unwrap_or_default();
            let foreign = assigned.iter().find(|(topic, _)| !self.topics.contains(topic));
            let named = named(member);
            if !member.client_id().starts_with(&prefix) {
                members.strangers.push(format!("{named}, which is another program"));
            } else if let Some((topic, _)) = foreign {
                members.strangers.push(format!("{named}, which reads \"{topic}\""));
            }
            let own = assigned.into_iter().filter(|(topic, _)| *topic == self.topics[0]);
            for partition in own.flat_map(|(_, partitions)| partitions) {
                members.owners.insert(partition, member.client_id().to_owned());
            }
        })?;
        Ok(members)
    }

    /// Who has committed offsets of so many partitions that belong to another state than this
    /// process's. They stay when their member has gone.
    ///
    /// # Errors
    /// `Retriable` when the coordinator does not answer.
    pub fn foreign_marks(&self, partitions: u32) -> Result<BTreeSet<String>, BrokerError> {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..partitions {
            wanted.add_partition(&self.topics[0], number(partition));
        }
        let committed = self.consumer.committed_offsets(wanted, TIMEOUT).map_err(|error| {
            BrokerError::Retriable(format!("could not read the group's offsets: {error}"))
        })?;
        let of = |index| {
            let metadata = offset_metadata(&committed, index)?;
            let (member, state) = self.mark.stranger(&metadata)?;
            Some(format!("{member}, whose state topic is \"{state}\""))
        };
        Ok((0..committed.count()).filter_map(of).collect())
    }

    /// The members of the group, each with its host.
    ///
    /// # Errors
    /// `Retriable` when the coordinator does not answer.
    pub fn members(&self) -> Result<Vec<String>, BrokerError> {
        let mut members = Vec::new();
        self.each_member(|member| members.push(named(member)))?;
        Ok(members)
    }

    /// The members of the group that are not this process's first worker, each with its host.
    ///
    /// # Errors
    /// `Retriable` when the coordinator does not answer.
    pub fn others(&self) -> Result<Vec<String>, BrokerError> {
        let mut others = Vec::new();
        self.each_member(|member| {
            if member.client_id() != self.own {
                others.push(named(member));
            }
        })?;
        Ok(others)
    }

    fn each_member(&self, mut each: impl FnMut(&GroupMemberInfo)) -> Result<(), BrokerError> {
        let groups =
            self.consumer.fetch_group_list(Some(&self.group_id), TIMEOUT).map_err(|error| {
                BrokerError::Retriable(format!("could not describe the consumer group: {error}"))
            })?;
        let group = groups.groups().iter().find(|group| group.name() == self.group_id);
        group.iter().flat_map(|group| group.members()).for_each(&mut each);
        Ok(())
    }
}

fn named(member: &GroupMemberInfo) -> String {
    format!("{} at {}", member.client_id(), member.client_host())
}

/// The partitions by topic in an encoded assignment; `None` when it cannot be read.
fn assigned(bytes: &[u8]) -> Option<Vec<(String, Vec<u32>)>> {
    let mut rest = bytes;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(taken)
    };
    // The version; later ones only append.
    take(2)?;
    let mut found = Vec::new();
    for _ in 0..u32::from_be_bytes(take(4)?.try_into().ok()?) {
        let length = u16::from_be_bytes(take(2)?.try_into().ok()?);
        let name = String::from_utf8(take(usize::from(length))?.to_vec()).ok()?;
        let mut partitions = Vec::new();
        for _ in 0..u32::from_be_bytes(take(4)?.try_into().ok()?) {
            partitions.push(u32::from_be_bytes(take(4)?.try_into().ok()?));
        }
        found.push((name, partitions));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read_from_an_assignment() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (name, partitions) in [("a", [1_u32, 2]), ("orders", [3, 7])] {
            bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(2_u32.to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend([0xff; 4]);
        let expected = vec![("a".to_owned(), vec![1, 2]), ("orders".to_owned(), vec![3, 7])];
        assert_eq!(assigned(&bytes), Some(expected));
        assert_eq!(assigned(&bytes[..20]), None);
    }
}
