//! Tests of maps: what is refused, and what the looked-up cells are.
//!
//! The shipped maps are tested in `config/map_file.rs`. Next: `rfm_map.rs`.

use super::*;

fn map(levels: u8, values: &[(&str, i32, &[&str])]) -> Result<RfmMap, Vec<String>> {
    let values = values.iter().map(|(name, rank, cells)| MapValue {
        name: (*name).to_owned().into(),
        rank: *rank,
        cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
    });
    RfmMap::new("test", levels, values.collect())
}

#[test]
fn a_map_of_recency_and_frequency_ignores_money() {
    let map = map(2, &[("good", 2, &["2[12]"]), ("bad", 1, &["11", "12"])]).expect("a map");
    assert!(!map.uses_monetary());
    for (f, m) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        assert_eq!(map.look_up(2, f, m), 0);
        assert_eq!(map.look_up(1, f, m), 1);
    }
}

#[test]
fn every_cell_has_one_name() {
    let missing = map(2, &[("good", 2, &["2[12]"]), ("bad", 1, &["11"])]);
    assert_eq!(missing.unwrap_err(), ["cell 12 has no name"]);
    let missing = map(2, &[("good", 2, &["2[12][12]", "1[12]2"]), ("bad", 1, &["111"])]);
    assert_eq!(missing.unwrap_err(), ["cell 121 has no name"]);
    let twice = map(2, &[("good", 2, &["[12]2"]), ("bad", 1, &["[12]1", "12"])]);
    assert_eq!(twice.unwrap_err(), ["cell 12 belongs to \"good\" and to \"bad\""]);
    let twice = map(2, &[("all", 2, &["[12][12][12]", "222"])]);
    assert_eq!(twice.unwrap_err(), ["cell 222 belongs to \"all\" and to \"all\""]);
}

#[test]
fn malformed_maps_are_refused() {
    for (levels, values, problem) in [
        (1, &[("all", 1, &["11"][..])][..], "levels = 1 is not between 2 and 9"),
        (2, &[], "0 names; 1 to 64 are possible"),
        (2, &[("none", 1, &["[12][12]"])], "the name \"none\" is reserved"),
        (2, &[("a", 1, &["1[12]"]), ("a", 1, &["2[12]"])], "the name \"a\" stands twice"),
        (2, &[("a", 1, &["[12][13]"])], "a: \"[12][13]\": '3' is not a score from 1 to 2"),
        (2, &[("a", 1, &["[12]0"])], "a: \"[12]0\": '0' is not a score from 1 to 2"),
        (2, &[("a", 1, &["[]1"])], "a: \"[]1\" has an empty choice"),
        (2, &[("a", 1, &["[12"])], "a: \"[12\" has no closing bracket"),
        (2, &[("a", 1, &["[12][12]"]), ("b", 1, &[])], "b: no cells"),
        (
            2,
            &[("a", 1, &["[12][12]"]), ("b", 1, &["111"])],
            "b: the cell \"111\" names 3 scores; all must name 2 or all 3",
        ),
    ] {
        let problems = map(levels, values).expect_err("a malformed map");
        assert!(problems.contains(&problem.to_owned()), "{problems:?}");
    }
}

#[test]
fn silence_that_improves_is_found() {
    let odd = map(2, &[("good", 2, &["11", "22"]), ("bad", 1, &["21", "12"])]).expect("a map");
    assert_eq!(odd.silence_improves(), ["21 from bad to good"]);
}
