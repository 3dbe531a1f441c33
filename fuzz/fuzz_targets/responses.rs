//! The `responses` wire.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike::wire::WireName;

fuzz_target!(|bytes: &[u8]| turnpike_fuzz::answers(WireName::Responses, bytes));
