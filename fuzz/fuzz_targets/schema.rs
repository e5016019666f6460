//! A writer's schema as a registry answers, up to the first zero byte, then a datum of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebbflow_fuzz::schema(data));
