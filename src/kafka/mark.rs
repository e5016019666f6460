//! Who has committed: the member and its state topic, in the metadata of the group's offsets.
//!
//! Two deployments with one application id by mistake are told by it: the offsets that one finds
//! belong to the state of the other. Never decides what is committed. Next: `group.rs`.

use crate::runtime::broker::BrokerError;

/// Between what the runtime commits and the mark.
const BY: &str = " by ";

/// The mark of this member.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    group_id: String,
    member: String,
    state_topic: String,
}

impl Mark {
    pub(crate) fn new(group_id: &str, member: &str, state_topic: &str) -> Self {
        let [group_id, member, state_topic] = [group_id, member, state_topic].map(str::to_owned);
        Self { group_id, member, state_topic }
    }

    /// Metadata with the mark: neither ids nor topics have spaces.
    pub(crate) fn add(&self, metadata: &str) -> String {
        format!("{metadata}{BY}{} {}", self.member, self.state_topic)
    }

    /// The member and the state topic of another deployment that has committed.
    pub(crate) fn stranger<'m>(&self, metadata: &'m str) -> Option<(&'m str, &'m str)> {
        let (_, member, state_topic) = split(metadata)?;
        (state_topic != self.state_topic).then_some((member, state_topic))
    }

    /// Metadata without the mark; an error when it is that of another deployment.
    pub(crate) fn take_off(&self, task: u32, metadata: &str) -> Result<String, BrokerError> {
        let Some((member, state_topic)) = self.stranger(metadata) else {
            return Ok(split(metadata).map_or(metadata, |(own, ..)| own).to_owned());
        };
        Err(BrokerError::Fatal(format!(
            "partition {task}: the offsets of the consumer group \"{group}\" were committed by \
             \"{member}\", whose state topic is \"{state_topic}\", not \"{own_topic}\": two \
             deployments have the same application_id; hint: stop all instances and give each \
             deployment an application_id of its own; then, as what the other has committed stays, \
             delete the group and run `ebbflow run --rebuild` once; if there is one deployment \
             alone, whose state topic has another name now, name the old one again instead",
            group = self.group_id,
            own_topic = self.state_topic,
        )))
    }
}

/// What the runtime has committed, the member, its state topic.
fn split(metadata: &str) -> Option<(&str, &str, &str)> {
    let (own, mark) = metadata.rsplit_once(BY)?;
    let (member, state_topic) = mark.split_once(' ')?;
    Some((own, member, state_topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_comes_off_and_that_of_another_state_is_refused() {
        let mark = Mark::new("shop", "shop-0-000", "shop.state");
        let marked = mark.add("1 2 3 4");
        assert_eq!(marked, "1 2 3 4 by shop-0-000 shop.state");
        assert_eq!(mark.take_off(7, &marked), Ok("1 2 3 4".to_owned()));
        let heir = Mark::new("shop", "shop-1-000", "shop.state");
        assert_eq!(heir.take_off(7, &marked), Ok("1 2 3 4".to_owned()));
        for foreign in ["", "1 2 3 4", "set by hand", " by ", "x by y"] {
            assert_eq!(mark.take_off(7, foreign), Ok(foreign.to_owned()));
        }
        let other = Mark::new("shop", "shop-9-000", "test.state");
        let refused = other.take_off(7, &marked).expect_err("another state").to_string();
        assert!(refused.contains("committed by \"shop-0-000\""), "{refused}");
        assert!(refused.contains("is \"shop.state\", not \"test.state\""), "{refused}");
    }
}
