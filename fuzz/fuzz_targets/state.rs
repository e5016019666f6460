//! A record of the state topic: the key up to the first zero byte, then the value.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::state(data));
