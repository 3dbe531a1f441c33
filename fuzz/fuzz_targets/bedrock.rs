//! The `bedrock` wire. Its events are written as server-sent ones here, as a checksum is hard to guess.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike::wire::WireName;

fuzz_target!(|bytes: &[u8]| turnpike_fuzz::answers(WireName::Bedrock, bytes));
