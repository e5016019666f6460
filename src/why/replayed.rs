//! A customer from what `ebbflow replay` wrote: profiles (`--customers`) and changes.
//!
//! Lines are told apart by their fields, so that the files may have any name and lie beside
//! others. Next: `history.rs`, what is made of the changes.

use crate::why::change::Reader;
use crate::why::history::History;
use crate::why::words::clean;
use crate::why::{Told, WhyError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What says of which kind a line is.
#[derive(Deserialize)]
struct Line {
    customer_id: Option<String>,
    change_id: Option<IgnoredAny>,
    as_of: Option<IgnoredAny>,
}

/// Reads the customer's profile and changes.
///
/// # Errors
/// When a file cannot be read, or none of them holds what `replay` writes.
pub(super) fn read(paths: &[PathBuf], id: &str) -> Result<Told, WhyError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(lines_in(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let mut told = Told::default();
    let (mut profiles, mut changes) = (0_u64, 0_u64);
    let mut history = History::default();
    for file in &files {
        let failed = |error: &dyn std::fmt::Display| {
            WhyError::Usage(format!("could not read \"{}\": {error}", file.display()))
        };
        let mut reader = BufReader::new(File::open(file).map_err(|error| failed(&error))?);
        let mut text = Vec::new();
        for number in 1_u64.. {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(|error| failed(&error))? == 0 {
                break;
            }
            let Ok(line) = serde_json::from_slice::<Line>(&text) else { continue };
            let own = line.customer_id.as_deref() == Some(id);
            let at = |error: &dyn std::fmt::Display| failed(&format!("line {number}: {error}"));
            if line.change_id.is_some() {
                changes += 1;
                if own {
                    let change = Reader::default().read(text.trim_ascii());
                    history.changes.push(change.map_err(|error| at(&error))?);
                }
            } else if line.as_of.is_some() {
                profiles += 1;
                if own {
                    let profile = serde_json::from_slice(&text).map_err(|error| at(&error))?;
                    told.profile = Some(profile);
                }
            }
        }
    }
    if profiles + changes == 0 {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(WhyError::Usage(format!(
            "neither profiles nor changes in {}; hint: `ebbflow replay --changes FILE --customers \
             FILE` writes them",
            clean(&names.join(", "))
        )));
    }
    "the files given".clone_into(&mut history.place);
    // `replay` writes the profile of everybody who is there at its end.
    history.marked_erased = profiles > 0 && told.profile.is_none() && !history.changes.is_empty();
    told.history = Some(history);
    Ok(told)
}

/// The `.jsonl` files of a folder, by name.
fn lines_in(folder: &Path) -> Result<Vec<PathBuf>, WhyError> {
    let failed = |error: std::io::Error| {
        WhyError::Usage(format!("could not read \"{}\": {error}", folder.display()))
    };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
