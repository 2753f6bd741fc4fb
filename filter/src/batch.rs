//! A batch: samples and tallies as one message for the collector. It does not know how it travels.

use std::collections::BTreeMap;

use prost::Message as _;
use tidegate_proto::intake::v1::ShipRequest;

use crate::buffer::Waiting;
use crate::tally::{Key, Tallies};

/// One message, and whose samples are in it.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// The encoded `ShipRequest`.
    pub message: Vec<u8>,
    /// How many samples of each key are lost when the batch is.
    pub aboard: BTreeMap<Key, u64>,
}

impl Batch {
    /// Packs samples and the counts as they stand.
    pub fn pack(node: &str, worker: u64, samples: Vec<Waiting>, tallies: &Tallies) -> Self {
        let mut aboard = BTreeMap::<Key, u64>::new();
        let mut request = ShipRequest {
            node: node.to_owned(),
            worker,
            samples: Vec::with_capacity(samples.len()),
            tallies: tallies.to_wire(),
        };
        for waiting in samples {
            if let Some(key) = waiting.key {
                let count = aboard.entry(key).or_default();
                *count = count.saturating_add(1);
            }
            request.samples.push(waiting.sample);
        }
        Self { message: request.encode_to_vec(), aboard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Counts;
    use tidegate_proto::intake::v1::Sample;

    #[test]
    fn a_batch_reads_back_as_what_was_packed() {
        let key = Key { model: "m".into(), version: "v1".into() };
        let mut tallies = Tallies::default();
        tallies.add(&key, &Counts { exchanges: 3, ..Counts::default() });
        let samples = (0..2)
            .map(|n| Waiting {
                key: Some(key.clone()),
                sample: Sample { request_id: n.to_string(), ..Sample::default() },
            })
            .collect();
        let batch = Batch::pack("envoy-1", 7, samples, &tallies);
        let read = ShipRequest::decode(&*batch.message).unwrap();
        assert_eq!((read.node.as_str(), read.worker, read.samples.len()), ("envoy-1", 7, 2));
        assert_eq!(read.tallies[0].exchanges, 3);
        assert_eq!(batch.aboard, BTreeMap::from([(key, 2)]));
    }
}
