//! The ways to read a body: our check, our lexer alone, and serde_json's. Each gives a number that the
//! compiler cannot leave out.

use std::hint::black_box;
use std::sync::Arc;

use serde::de::IgnoredAny;
use tidegate_contract::check::Check;
use tidegate_contract::json::Lexer;
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;

use crate::body::Body;

/// A way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The whole contract check.
    Check,
    /// Our lexer, every event.
    Lexer,
    /// `serde_json::Value`.
    Value,
    /// `serde_json`, which checks the grammar and keeps nothing.
    Ignored,
}

impl Reading {
    /// All ways, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("check", Self::Check),
        ("lexer", Self::Lexer),
        ("serde_json, value", Self::Value),
        ("serde_json, ignored", Self::Ignored),
    ];
}

/// Bytes of a chunk, as a proxy hands them over.
const CHUNK: usize = 16 << 10;

/// Reads a body so many times.
///
/// # Panics
/// When the body is not good: then nothing was measured.
#[must_use]
pub fn read(body: &Body, reading: Reading, times: u32) -> u64 {
    let rules = Arc::new(Rules::of(&body.contract));
    let mut sum = 0;
    for _ in 0..times {
        let bytes = black_box(body.bytes.as_slice());
        sum += match reading {
            Reading::Check => {
                let mut check = Check::new(Some(Arc::clone(&rules)), body.format, Side::Request);
                bytes.chunks(CHUNK).for_each(|chunk| {
                    check.feed(chunk);
                });
                let verdict = check.finish();
                assert_eq!(verdict.violations, [], "{}", body.name);
                verdict.rows
            }
            Reading::Lexer => {
                let mut lexer = Lexer::default();
                let mut events = 0;
                for chunk in bytes.chunks(CHUNK) {
                    let mut at = 0;
                    while let Ok(Some(event)) = lexer.next(chunk, &mut at) {
                        black_box(event);
                        events += 1;
                    }
                }
                events
            }
            Reading::Value => {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
                u64::from(black_box(value).is_ok())
            }
            Reading::Ignored => {
                let value: Result<IgnoredAny, _> = serde_json::from_slice(bytes);
                u64::from(black_box(value).is_ok())
            }
        };
    }
    sum
}
