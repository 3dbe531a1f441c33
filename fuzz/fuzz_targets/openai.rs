//! The `openai` wire, whose decoder `azure` and `vertex-openai` share.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike::wire::WireName;

fuzz_target!(|bytes: &[u8]| turnpike_fuzz::answers(WireName::Openai, bytes));
