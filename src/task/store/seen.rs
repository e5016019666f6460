//! Whose keys came lately: who comes again is worth staying unpacked, who comes once is not.
//!
//! A cache of keys alone, each in the one place that its hash names: a newer key takes the place of
//! an older one, as in the "ghost" list of 2Q (Johnson, Shasha, VLDB 1994). Never decides anything
//! that is written. Next: `open.rs`, which asks it.

/// Keys that came lately.
#[derive(Debug)]
pub(super) struct Seen {
    /// By the upper bits of the key; its length is a power of two.
    keys: Vec<u64>,
}

impl Seen {
    /// For so many keys, or the next power of two.
    pub(super) fn new(keys: usize) -> Self {
        Self { keys: vec![0; keys.next_power_of_two()] }
    }

    /// Makes room for more keys; those that were seen are forgotten.
    pub(super) fn grow(&mut self, keys: usize) {
        if self.keys.len() < keys.next_power_of_two() {
            *self = Self::new(keys);
        }
    }

    /// Takes note of a key; true when it came not long ago.
    pub(super) fn see(&mut self, key: u64) -> bool {
        let place = usize::try_from(key >> 32).unwrap_or_default() & (self.keys.len() - 1);
        std::mem::replace(&mut self.keys[place], key) == key
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_key_is_seen_until_another_one_takes_its_place() {
        let mut seen = Seen::new(3);
        let [one, same_place, other] = [1 << 32, 5 << 32, 2 << 32];
        assert_eq!([one, one, other, one].map(|key| seen.see(key)), [false, true, false, true]);
        assert_eq!([same_place, one].map(|key| seen.see(key)), [false, false]);
        seen.grow(4);
        assert!(seen.see(one), "there was room for four");
        seen.grow(5);
        assert!(!seen.see(one), "a greater cache begins anew");
    }
}
