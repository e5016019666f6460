//! Bounds of a rule's source, checked before it is parsed: the parser recurses.
//!
//! Only code is measured: what stands in quotes or behind `//` is no sign. Where a text might end
//! elsewhere than it seems to, all that follows is taken for code.
//! Next: `cel.rs`, which compiles.

/// Longest rule, in bytes.
const MAX_BYTES: usize = 4096;
/// Deepest nesting: the parser takes a lot of stack for each level.
pub(super) const MAX_NESTING: usize = 10;
/// Most signs in a row that nothing parts: the parser recurses for each of them, too.
pub(super) const MAX_CHAIN: usize = 32;
/// Most comparisons of one rule.
const MAX_COMPARISONS: usize = 200;

/// Checks a rule that is to be parsed.
///
/// # Errors
/// What there is too much of.
pub(super) fn check(source: &str) -> Result<(), String> {
    if source.len() > MAX_BYTES {
        return Err(format!("expected a rule of at most {MAX_BYTES} bytes"));
    }
    let code = code(source);
    if nesting(&code) > MAX_NESTING {
        return Err(format!("expected at most {MAX_NESTING} brackets and signs within each other"));
    }
    if longest_chain(&code) > MAX_CHAIN {
        return Err(format!(
            "expected at most {MAX_CHAIN} signs (dots, brackets, operators) between && and ||"
        ));
    }
    comparisons(code.matches("&&").count() + code.matches("||").count() + 1)
}

/// Checks how many comparisons a rule has.
///
/// # Errors
/// When there are too many.
pub(super) fn comparisons(count: usize) -> Result<(), String> {
    if count > MAX_COMPARISONS {
        return Err(format!("expected at most {MAX_COMPARISONS} comparisons, there are {count}"));
    }
    Ok(())
}

/// The source without its texts and comments.
fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(place) = rest.find(['\'', '"', '/']) {
        let (before, from) = rest.split_at(place);
        code.push_str(before);
        rest = if let Some(comment) = from.strip_prefix("//") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(behind) = from.strip_prefix('/') {
            code.push('/');
            behind
        } else if let Some(behind) = behind_text(from) {
            code.push(' ');
            behind
        } else {
            // Escapes, or no end: where the text ends is for the parser to say.
            code.push_str(from);
            ""
        };
    }
    code.push_str(rest);
    code
}

/// What follows a text that stands at the beginning.
fn behind_text(from: &str) -> Option<&str> {
    let (quote, lines) = match from.get(..3) {
        Some(quote @ ("'''" | "\"\"\"")) => (quote, true),
        _ => (from.get(..1)?, false),
    };
    let (text, behind) = from[quote.len()..].split_once(quote)?;
    let plain = !text.contains('\\') && (lines || !text.contains(['\n', '\r']));
    plain.then_some(behind)
}

/// At least how deep brackets, signs and conditions stand within each other.
fn nesting(code: &str) -> usize {
    let (mut depth, mut deepest, mut prefixes) = (0_usize, 0_usize, 0_usize);
    let mut conditionals = 0;
    for character in code.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '!' | '-' => prefixes += 1,
            // What follows the colon is within it to the end.
            '?' => conditionals += 1,
            // A comparison ends a run of signs, and a condition its own.
            '&' | '|' | ',' => prefixes = 0,
            _ => {}
        }
        deepest = deepest.max(depth + prefixes + conditionals);
    }
    deepest
}

/// How many signs follow each other at most before a `&&`, `||`, comma, `?` or colon.
fn longest_chain(code: &str) -> usize {
    code.split(['&', '|', ',', '?', ':']).map(signs).max().unwrap_or(0)
}

fn signs(part: &str) -> usize {
    let is_sign = |character: &char| ".[(+-*/%<>=".contains(*character);
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let ins = part.match_indices("in").filter(|(place, _)| {
        // A digit before may be a number that ends there.
        let before = part[..*place].chars().next_back();
        let within = before.is_some_and(|it| is_name(it) && !it.is_ascii_digit());
        !within && !part[place + 2..].chars().next().is_some_and(is_name)
    });
    part.chars().filter(is_sign).count() + ins.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_measured() {
        for (source, expected) in [
            ("traits.a == 'b.c' && x", "traits.a ==   && x"),
            ("a == \"it's\" + 'x'", "a ==   +  "),
            ("a == '''don't''' + b", "a ==   + b"),
            ("a // don't\n+ 'b'", "a \n+  "),
            ("a / 'b'", "a /  "),
            // Where it ends is not sure.
            ("a == 'b\\'' + c", "a == 'b\\'' + c"),
            ("a == r'b\\' + c", "a == r'b\\' + c"),
            ("a == 'b\n + c'", "a == 'b\n + c'"),
            ("a == 'b + c", "a == 'b + c"),
            ("a == '''b' + c", "a == '''b' + c"),
        ] {
            assert_eq!(code(source), expected, "{source}");
        }
        assert_eq!(signs("a in b.c in [1in[2]]"), 7 - 1);
        assert_eq!(signs("inside + main + int"), 2);
    }
}
