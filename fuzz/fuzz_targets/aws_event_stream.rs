//! The framer of Amazon's event streams: the bytes as they are, and with their checksums put right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turnpike::wire::Framing;
use turnpike_fuzz::amazon;

fuzz_target!(|bytes: &[u8]| {
    turnpike_fuzz::frames(Framing::AwsEventStream, bytes);
    turnpike_fuzz::frames(Framing::AwsEventStream, &amazon::with_checksums(bytes));
});
