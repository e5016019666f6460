//! Progress records, and the metadata of the group's offsets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::progress(data));
