//! A contract made ready for checking: names sorted, phrases written, categories ordered, once for
//! all the bodies it will be held against. It does not read payloads.

use crate::contract::Contract;

/// A contract, resolved. Build it once, share it in an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {}

impl Rules {
    /// Resolves a contract. Total: [`Contract::mistakes`] says what is wrong with one.
    pub fn of(_contract: &Contract) -> Self {
        todo!()
    }
}
