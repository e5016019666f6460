//! Names of values and audiences, by the number that states keep for them.
//!
//! The rules change, the numbers do not: a name is only ever appended, so that what was published
//! under other rules can still be told. Next: `dimension.rs`, which asks for names.

use crate::domain::dimensions::rfm_map::RfmMap;
use crate::domain::name::Name;

/// Names that a state can tell apart, of each sort.
pub const MAX_NAMES: usize = 128;

/// Names that states know by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Values of `rfm`; the number is one more than the place.
    pub rfm: Vec<Name>,
    /// Audiences; the number is the place.
    pub audiences: Vec<Name>,
    /// Numbers of the values of the present map.
    rfm_values: Vec<u8>,
}

/// There have been more names than states can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "more than {MAX_NAMES} names of {0} have been in use; hint: `run --rebuild` begins anew with \
     those in use now"
)]
pub struct TooManyNames(&'static str);

impl Names {
    /// Names that a state knows.
    #[must_use]
    pub const fn of(rfm: Vec<Name>, audiences: Vec<Name>) -> Self {
        Self { rfm, audiences, rfm_values: Vec::new() }
    }

    /// These names and those of a map and audiences.
    ///
    /// # Errors
    /// When there would be more than [`MAX_NAMES`].
    pub fn with<'a>(
        mut self,
        map: &RfmMap,
        audiences: impl Iterator<Item = &'a Name>,
    ) -> Result<Self, TooManyNames> {
        self.rfm_values.clear();
        for value in map.values() {
            let place = place_of(&mut self.rfm, &value.name).ok_or(TooManyNames("rfm values"))?;
            self.rfm_values.push(place + 1);
        }
        for name in audiences {
            place_of(&mut self.audiences, name).ok_or(TooManyNames("audiences"))?;
        }
        Ok(self)
    }

    /// The number of a value of the map: 0 = `none`, else 1 + the place in its values.
    #[must_use]
    pub fn rfm_value(&self, map_value: u8) -> u8 {
        let place = usize::from(map_value).checked_sub(1);
        place.and_then(|place| self.rfm_values.get(place)).copied().unwrap_or(map_value)
    }

    /// The name of a value of `rfm`; `None` for 0 and for numbers that nobody gave.
    #[must_use]
    pub fn rfm_name(&self, value: u8) -> Option<&Name> {
        self.rfm.get(usize::from(value).checked_sub(1)?)
    }

    /// The number of an audience.
    #[must_use]
    pub fn audience(&self, name: &str) -> Option<u8> {
        let place = self.audiences.iter().position(|present| present == name)?;
        u8::try_from(place).ok()
    }
}

/// The place of a name, made for it at the end; `None` when there is no room.
fn place_of(names: &mut Vec<Name>, name: &Name) -> Option<u8> {
    let place = names.iter().position(|present| present == name).unwrap_or_else(|| {
        names.push(name.clone());
        names.len() - 1
    });
    u8::try_from(place).ok().filter(|place| usize::from(*place) < MAX_NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dimensions::rfm_map::MapValue;

    fn map(names: &[&'static str]) -> RfmMap {
        let cells = ["1[12]", "2[12]"];
        let values = names.iter().zip(cells).map(|(name, cells)| MapValue {
            name: (*name).into(),
            rank: 0,
            cells: vec![cells.to_owned()],
        });
        RfmMap::new("test", 2, values.collect()).expect("a total map")
    }

    #[test]
    fn a_name_keeps_its_number_under_other_rules() {
        let first = Names::default().with(&map(&["gold", "lead"]), [].iter()).expect("room");
        assert_eq!([0, 1, 2].map(|value| first.rfm_value(value)), [0, 1, 2]);
        let audience = Name::from("vip");
        let second = first.with(&map(&["lead", "tin"]), [audience].iter()).expect("room");
        assert_eq!([0, 1, 2].map(|value| second.rfm_value(value)), [0, 2, 3]);
        let names: Vec<&str> =
            (1..=3).map(|value| &**second.rfm_name(value).expect("a name")).collect();
        assert_eq!(names, ["gold", "lead", "tin"]);
        assert_eq!(second.rfm_name(0), None);
        assert_eq!((second.audience("vip"), second.audience("nobody")), (Some(0), None));
    }

    #[test]
    fn more_names_than_states_can_tell_apart_are_refused_and_known_ones_are_not() {
        let audiences: Vec<Name> = (0..MAX_NAMES).map(|it| format!("a-{it}").into()).collect();
        let full = Names::default().with(&map(&["gold", "lead"]), audiences.iter()).expect("room");
        let again = full.clone().with(&map(&["gold", "lead"]), audiences.iter().rev());
        assert_eq!(again.as_ref(), Ok(&full));
        let one_more = [Name::from("one-more")];
        let refused = full.with(&map(&["gold", "lead"]), one_more.iter());
        let text = refused.expect_err("no room").to_string();
        assert!(text.contains("128 names of audiences") && text.contains("--rebuild"), "{text}");
    }
}
