//! Confluent framing: schema 1 is the program's own, 2 an older one of somebody else, 3 nobody's.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::confluent(data));
