//! Texts that a customer's state keeps: short ones, so that nobody's event can fill the memory.
//!
//! Next: `surveys.rs`, `traits.rs`, `preferences.rs`, which keep them.

/// The beginning of a text, at most so many bytes long, cut between characters.
#[must_use]
pub fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short", 64), "short");
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("日本語", 7), "日本");
        assert_eq!(cut("x", 0), "");
    }
}
