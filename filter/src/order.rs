//! An order: a decision in force that the filter carries out itself, and whether a request is meant by
//! it. It does not know who decided, nor how a request is refused or sent elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tidegate_contract::contract::Contract;
use tidegate_contract::order::{Block, Divert};
use tidegate_contract::segment::{ByHead, MAX_VALUE_BYTES, Segment, Selection};

use crate::head::RequestHead;

/// Values of headers that are looked at for one request.
const MAX_VALUES: usize = 64;

/// A decision in force, until its end: the host's clock alone ends it, whether a collector is there or
/// not.
#[derive(Debug)]
pub struct Order {
    /// What is done.
    pub deed: Deed,
    /// Which requests are meant; without it all.
    pub selection: Option<Arc<Selection>>,
    until_unix_seconds: u64,
}

/// What is done with the requests that are meant.
#[derive(Debug)]
pub enum Deed {
    /// They are answered without asking the model.
    Block(Block),
    /// They go to the version of this cluster.
    Divert(String),
}

/// Whether an order means a request, as far as its head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It does not.
    Spared,
    /// It does.
    Meant,
    /// Its body tells.
    AskBody,
}

impl Order {
    /// What a model's table orders. Of a block and a divert the block, which keeps more from the model.
    pub fn of(
        block: Option<Block>,
        divert: Option<Divert>,
        contract: Option<&Contract>,
    ) -> Option<Self> {
        let selection = |segment: &Segment| Arc::new(Selection::of(segment, contract));
        if let Some(block) = block {
            return Some(Self {
                selection: block.segment.as_ref().map(selection),
                until_unix_seconds: block.until_unix_seconds,
                deed: Deed::Block(block),
            });
        }
        divert.map(|divert| Self {
            selection: Some(selection(&divert.segment)),
            until_unix_seconds: divert.until_unix_seconds,
            deed: Deed::Divert(divert.cluster),
        })
    }

    /// Whether a body may have to be known before its head goes on: a fallback is chosen by the head.
    pub fn holds(&self) -> bool {
        matches!(self.deed, Deed::Divert(_))
    }

    /// Adds to a head what the segment asks of it.
    pub fn look<'a>(
        &self,
        head: &mut RequestHead,
        headers: impl FnOnce() -> Vec<(&'a [u8], &'a [u8])>,
        client: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let Some(selection) = &self.selection else { return };
        if selection.headers().next().is_some() {
            for (name, value) in headers() {
                let wanted = selection.headers().find(|wanted| wanted.as_bytes() == name);
                // What is longer is none of the values.
                if let Some(wanted) = wanted
                    && value.len() <= MAX_VALUE_BYTES
                    && head.named.len() < MAX_VALUES
                {
                    head.named.push((wanted.to_owned(), value.to_vec()));
                }
            }
        }
        if selection.asks_client() {
            head.client = client().as_deref().and_then(address);
        }
    }

    /// Whether a request is meant that began at this time, in seconds since the epoch.
    pub fn aim(&self, head: &RequestHead, now_seconds: u64) -> Aim {
        if now_seconds >= self.until_unix_seconds {
            return Aim::Spared;
        }
        let Some(selection) = &self.selection else { return Aim::Meant };
        match selection.by_head(&head.named, head.client) {
            ByHead::No => Aim::Spared,
            ByHead::Yes => Aim::Meant,
            ByHead::AskBody => Aim::AskBody,
        }
    }
}

/// The address in `10.1.2.3:4711` or `[::1]:4711`, as hosts write it; its port is another one on each
/// connection.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    text.parse().map(|address: SocketAddr| address.ip()).or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(segment: &str) -> Order {
        let divert = Divert {
            decision: "d".into(),
            cluster: "c2".into(),
            until_unix_seconds: 100,
            segment: segment.parse().unwrap(),
        };
        Order::of(None, Some(divert), None).unwrap()
    }

    fn aim(segment: &str, headers: &[(&str, &[u8])], client: &str, now: u64) -> Aim {
        let order = order(segment);
        let mut head = RequestHead::default();
        let pairs = || headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        order.look(&mut head, pairs, || Some(client.as_bytes().to_vec()));
        order.aim(&head, now)
    }

    #[test]
    fn a_client_is_known_by_a_header_or_its_address() {
        let acme: &[(&str, &[u8])] = &[("x-client", b"acme"), ("x-other", b"1")];
        assert_eq!(aim("header:x-client = acme", acme, "", 0), Aim::Meant);
        assert_eq!(aim("header:x-client = other", acme, "", 0), Aim::Spared);
        assert_eq!(aim("header:x-client = acme and age > 3", acme, "", 0), Aim::AskBody);
        for client in ["10.1.2.3:80", "[::ffff:10.1.2.3]:80", "10.1.2.3"] {
            assert_eq!(aim("client:address = 10.1.2.3", &[], client, 0), Aim::Meant, "{client}");
        }
        for client in ["10.1.2.4:80", "", "\u{fffd}", "a unix socket"] {
            assert_eq!(aim("client:address = 10.1.2.3", &[], client, 0), Aim::Spared, "{client}");
        }
    }

    #[test]
    fn a_flood_of_headers_is_bounded_and_long_values_are_none() {
        let long = vec![b'a'; 10_000];
        let many: Vec<(&str, &[u8])> = (0..1000).map(|_| ("x-client", &b"b"[..])).collect();
        assert_eq!(aim("header:x-client = acme", &[("x-client", &long)], "", 0), Aim::Spared);
        assert_eq!(aim("header:x-client = acme", &many, "", 0), Aim::Spared);
    }

    #[test]
    fn an_order_ends_by_the_clock_alone() {
        assert_eq!(aim("age > 3", &[], "", 99), Aim::AskBody);
        assert_eq!(aim("age > 3", &[], "", 100), Aim::Spared);
    }
}
