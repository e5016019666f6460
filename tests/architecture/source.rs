//! Reads Rust text well enough to judge it: without comments, literals and test modules.
//!
//! A scanner, not a parser; it keeps lines where they are. Next: `rules.rs`, which judges.

use std::path::{Path, PathBuf};

/// A file of the project.
pub(crate) struct Source {
    /// Path from the project's root, with slashes.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl Source {
    /// Every `.rs` file under the folders.
    pub(crate) fn all(folders: &[&str]) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        for folder in folders {
            let folder = root.join(folder);
            if folder.is_dir() {
                collect(&folder, &mut paths);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(root, path)).collect()
    }

    fn read(root: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let relative = path.strip_prefix(root).expect("a file under the root");
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        Self { path: parts.join("/"), text }
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The text with comments and the insides of literals replaced by spaces.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = token_end(&characters, at);
        match end {
            Some(end) => {
                for character in &characters[at..end] {
                    code.push(if *character == '\n' { '\n' } else { ' ' });
                }
                at = end;
            }
            None => {
                code.push(characters[at]);
                at += 1;
            }
        }
    }
    code
}

/// Where a comment or literal that begins at `at` ends; `None` when none begins there.
fn token_end(characters: &[char], at: usize) -> Option<usize> {
    let rest = &characters[at..];
    let word_before = at > 0 && is_word(characters[at - 1]);
    match rest {
        ['/', '/', ..] => Some(at + rest.iter().take_while(|c| **c != '\n').count()),
        ['/', '*', ..] => Some(at + block_comment(rest)),
        ['"', ..] => Some(at + quoted(rest, '"')),
        ['r', '"' | '#', ..] if !word_before => raw_string(&rest[1..]).map(|end| at + 1 + end),
        ['b', 'r', '"' | '#', ..] if !word_before => raw_string(&rest[2..]).map(|end| at + 2 + end),
        // A character; a lifetime has no closing quote after one character.
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(at + quoted(rest, '\'')),
        _ => None,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `rest` begins after the `r`; `None` for a raw identifier.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return None;
    }
    let mut at = hashes + 1;
    while at < rest.len() {
        let closing = &rest[at + 1..(at + 1 + hashes).min(rest.len())];
        if rest[at] == '"' && closing.len() == hashes && closing.iter().all(|c| *c == '#') {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(rest.len())
}

/// The code without items under `#[cfg(test)]`; takes code without comments and literals.
pub(crate) fn without_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        let end = at + item_end(&rest[at..]);
        kept.extend(rest[at..end].chars().filter(|character| *character == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the item ends: after its block, or after a semicolon in front of any block.
fn item_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Places of `pattern` in the code that neither continue a word nor go on as one, as line
/// numbers. A pattern that ends in something else than a letter may go on.
pub(crate) fn lines_with(code: &str, pattern: &str) -> Vec<usize> {
    let opens = pattern.chars().next().is_some_and(is_word);
    let closes = pattern.chars().next_back().is_some_and(is_word);
    code.match_indices(pattern)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back().is_some_and(is_word);
            let after = code[at + pattern.len()..].chars().next().is_some_and(is_word);
            !(opens && before || closes && after)
        })
        .map(|(at, _)| line_of(code, at))
        .collect()
}

/// Line number of a byte position, from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The identifier that the text begins with.
pub(crate) fn word(text: &str) -> &str {
    let end = text.find(|character| !is_word(character)).unwrap_or(text.len());
    &text[..end]
}

#[test]
fn comments_and_literals_are_blank_and_lines_stay() {
    let text = "let a = \"x // y\"; // gone\nlet b = 'z';\n\
                /* a /* b */ c */ fn f<'a>(x: &'a u8) {}\n\
                let c = r#\"d \" e\"#; let r#type = b\"f\\\"g\"; let q = '\\'';\n";
    let code = without_comments_and_literals(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(code.contains("fn f<'a>(x: &'a u8) {}"), "{code}");
    for gone in ["x //", "gone", "z", " c */", " e", "f\\", "g"] {
        assert!(!code.contains(gone), "{gone} is in {code}");
    }
    assert!(code.contains("let r#type"), "{code}");
}

#[test]
fn test_items_are_cut_out_and_lines_stay() {
    let code =
        "a();\n#[cfg(test)]\nmod tests {\n fn b() { c(); }\n}\nd();\n#[cfg(test)]\nmod e;\nf();\n";
    let kept = without_test_items(code);
    assert_eq!(
        kept.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(),
        ["a();", "d();", "f();"]
    );
    assert_eq!(lines_with(&kept, "f"), [9]);
}

#[test]
fn patterns_match_whole_words() {
    assert_eq!(lines_with("f64\nxf64\nf641\nas f64)", "f64"), [1, 4]);
    assert_eq!(lines_with("eprintln!(1)\nprintln!(2)", "println!"), [2]);
    assert_eq!(lines_with("Zoned::now()\nwall_now()", "::now("), [1]);
}
