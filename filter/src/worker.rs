//! A worker: what one Wasm VM holds beyond a single exchange and a single configuration. Samples
//! that wait, counts, and batches in flight, all bounded. It does not know how a batch is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_contract::plugin::Collector;

use crate::batch::Batch;
use crate::buffer::{Buffer, Waiting};
use tidegate_proto::intake::v1::Reason;

use crate::exchange::{Asked, Effect, End, Exchange, Keeping, Start};
use crate::head::RequestHead;
use crate::pace::Pace;
use crate::sampling;
use crate::table::{Served, Table};
use crate::tally::{Counts, Key, Tallies};
use prost::Message as _;

/// Bytes that the bodies of exchanges under way may take; past it exchanges are not kept.
const MAX_HELD_BYTES: usize = 32 << 20;
/// Exchanges that may each hold a whole share of that.
const FULLY_HELD: usize = 32;
const MAX_CAPTURED_BYTES: usize = 32 << 20;
/// Tallies alone are shipped no more often than this.
const TALLY_INTERVAL_NANOS: u64 = 1_000_000_000;
/// How long after its timeout a batch without an answer is given up.
const GRACE_NANOS: u64 = 5_000_000_000;

/// The counters that operators see, by name and in this order.
pub const METERS: [&str; 15] = [
    "tidegate_filter_exchanges_total",
    "tidegate_filter_sampled_total",
    "tidegate_filter_dropped_total",
    "tidegate_filter_checked_total",
    "tidegate_filter_violating_total",
    "tidegate_filter_refused_total",
    "tidegate_filter_blocked_total",
    "tidegate_filter_unreadable_total",
    "tidegate_filter_failed_total",
    "tidegate_filter_tagged_total",
    "tidegate_filter_diverted_total",
    "tidegate_filter_would_refuse_total",
    "tidegate_filter_response_violating_total",
    "tidegate_filter_batches_lost_total",
    "tidegate_filter_undiverted_total",
];

/// What outlives exchanges and configurations.
#[derive(Debug)]
pub struct Worker {
    id: u64,
    node: String,
    begun: u64,
    captured_bytes: usize,
    /// Exchanges that have begun and not ended.
    open: usize,
    buffer: Buffer,
    tallies: Tallies,
    tallies_packed_nanos: u64,
    flights: BTreeMap<u32, Flight>,
    batches_lost: u64,
    /// How fast each model is sampled, as a share of its rate.
    paces: BTreeMap<Arc<str>, Pace>,
    /// How fast the collector can take samples, as a share of all rates.
    collector: Pace,
}

/// A batch under way.
#[derive(Debug)]
struct Flight {
    aboard: BTreeMap<Key, u64>,
    given_up_nanos: u64,
}

/// An exchange and what the worker set aside for it.
#[derive(Debug)]
pub struct Held {
    /// The exchange.
    pub exchange: Exchange,
    reserved_bytes: usize,
}

impl Worker {
    /// A worker with nothing in hand. The id is random for each VM.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            node: String::new(),
            begun: 0,
            captured_bytes: 0,
            open: 0,
            buffer: Buffer::new(0),
            tallies: Tallies::default(),
            tallies_packed_nanos: 0,
            flights: BTreeMap::new(),
            batches_lost: 0,
            paces: BTreeMap::new(),
            collector: Pace::default(),
        }
    }

    /// Takes the bounds of a new configuration. Nothing in hand is lost.
    pub fn configure(&mut self, node: String, collector: Option<&Collector>) {
        self.node = node;
        // A table without a collector, such as the bootstrap's own, drops nothing of another's.
        if let Some(collector) = collector {
            self.buffer.set_bound(size(collector.max_buffer_bytes));
        }
    }

    /// What the check of a new exchange may hold, so that all of them together stay far below what
    /// a VM may have: the more are open, the less each gets.
    fn held_bytes(&self) -> usize {
        MAX_HELD_BYTES.checked_div(self.open.max(FULLY_HELD)).unwrap_or(0)
    }

    /// Begins an exchange with a model.
    pub fn begin(
        &mut self,
        table: &Table,
        served: &Arc<Served>,
        mut asked: Asked,
    ) -> (Held, Effect) {
        self.begun = self.begun.wrapping_add(1);
        if asked.head.request_id.is_empty() {
            asked.head.request_id = format!("{:016x}-{}", self.id, self.begun);
        }
        let (keeping, reserved_bytes) = self.keeping(table, served, &asked.head);
        let held_bytes = self.held_bytes();
        self.open = self.open.saturating_add(1);
        let start = Start { served, asked, keeping, held_bytes, shadow: false };
        let (exchange, effect) = Exchange::begin(start);
        (Held { exchange, reserved_bytes }, effect)
    }

    /// Begins with the copy of a request that goes to a shadow; `None` where its answer is not
    /// kept, because the rate keeps neither it nor the exchange that it is a copy of.
    pub fn begin_shadow(
        &mut self,
        table: &Table,
        served: &Arc<Served>,
        asked: Asked,
    ) -> Option<Held> {
        let (keeping, reserved_bytes) = self.keeping(table, served, &asked.head);
        if !(keeping.by_rate && keeping.copies) || asked.head.request_id.is_empty() {
            self.captured_bytes = self.captured_bytes.saturating_sub(reserved_bytes);
            return None;
        }
        self.open = self.open.saturating_add(1);
        let start = Start { served, asked, keeping, held_bytes: 0, shadow: true };
        let (exchange, _) = Exchange::begin(start);
        Some(Held { exchange, reserved_bytes })
    }

    /// Whether an exchange may become a sample, and the bytes that are set aside for it.
    fn keeping(&mut self, table: &Table, served: &Served, head: &RequestHead) -> (Keeping, usize) {
        if table.collector.is_none() {
            // Whoever has no collector reads the host's counters, and those are of all.
            return (Keeping { reads: true, ..Keeping::NO }, 0);
        }
        let model = self.paces.get(&served.name).map_or(1.0, Pace::share);
        let rate = served.sample_rate * self.collector.share() * model;
        let by_rate = sampling::keeps(sampling::of(&head.traceparent, &head.request_id), rate);
        if !by_rate && !served.keep.is_any() {
            return (Keeping::NO, 0);
        }
        let reserved = self.reserve(served, head);
        (Keeping { reads: true, by_rate, rate, copies: reserved.is_some() }, reserved.unwrap_or(0))
    }

    /// Sets bytes aside for the bodies of an exchange; `None` when there is no room.
    fn reserve(&mut self, served: &Served, head: &RequestHead) -> Option<usize> {
        let most = served.max_capture_bytes;
        let plain = head.content_encoding.is_empty();
        let declared = head.content_length.filter(|_| plain);
        let declared = declared.and_then(|length| usize::try_from(length).ok());
        let wanted = most.saturating_add(declared.map_or(most, |length| length.min(most)));
        let held = self.captured_bytes.saturating_add(wanted);
        if held > MAX_CAPTURED_BYTES {
            return None;
        }
        self.captured_bytes = held;
        Some(wanted)
    }

    /// Ends an exchange: counts it, and keeps its sample for the next batch.
    pub fn end(&mut self, held: Held, end: &End<'_>) {
        self.captured_bytes = self.captured_bytes.saturating_sub(held.reserved_bytes);
        self.open = self.open.saturating_sub(1);
        let budget = held.exchange.served().max_sample_bytes_per_second;
        let shadow = held.exchange.is_shadow();
        let remains = held.exchange.end(end);
        // Nobody asked a shadow: its answers are no exchanges, and one that is lost is only a pair
        // that is not made.
        if !shadow {
            self.tallies.add(&remains.key, &remains.counts);
            self.tallies.add_breaches(&remains.key, remains.breaches);
        }
        let Some(sample) = remains.sample else { return };
        if let Some(budget) = budget {
            let pace = self.paces.entry(Arc::clone(&remains.key.model)).or_default();
            // What a rule keeps counts, but only what the rate keeps is given up.
            let fits = pace.spend(sample.encoded_len(), budget, end.now_nanos);
            if !fits && shadow {
                return;
            }
            if !fits && sample.reason() == Reason::Rate {
                return self.drop_samples(&remains.key, 1);
            }
        }
        let key = (!shadow).then_some(remains.key);
        for key in self.buffer.push(Waiting { key, sample }) {
            self.drop_samples(&key, 1);
        }
    }

    /// The next batch that should be sent now; `None` when there is none, or too many are under
    /// way. What comes of it is told with [`Worker::sent`] or [`Worker::not_sent`].
    pub fn next_batch(&mut self, collector: &Collector, now_nanos: u64) -> Option<Batch> {
        if self.flights.len() >= size(collector.max_batches_in_flight) {
            return None;
        }
        let tallies_due = self.tallies.changed()
            && now_nanos.saturating_sub(self.tallies_packed_nanos) >= TALLY_INTERVAL_NANOS;
        if self.buffer.is_empty() && !tallies_due {
            return None;
        }
        let samples = self.buffer.take(size(collector.max_batch_bytes));
        self.tallies.shipped();
        self.tallies_packed_nanos = now_nanos;
        Some(Batch::pack(&self.node, self.id, samples, &self.tallies))
    }

    /// A batch is under way under this token.
    pub fn sent(&mut self, token: u32, batch: Batch, collector: &Collector, now_nanos: u64) {
        let timeout = u64::from(collector.timeout_milliseconds).saturating_mul(1_000_000);
        let given_up_nanos = now_nanos.saturating_add(timeout).saturating_add(GRACE_NANOS);
        let flight = Flight { aboard: batch.aboard, given_up_nanos };
        if let Some(forgotten) = self.flights.insert(token, flight) {
            self.lose(forgotten.aboard);
        }
    }

    /// A batch could not even be sent.
    pub fn not_sent(&mut self, batch: Batch) {
        self.lose(batch.aboard);
    }

    /// A batch was answered: with the pace that the collector asks for, or not at all. Tokens that
    /// nobody knows are ignored.
    pub fn landed(&mut self, token: u32, answer: Option<f64>) {
        let Some(flight) = self.flights.remove(&token) else { return };
        match answer {
            Some(pace) => self.collector.ask(pace),
            None => {
                self.collector.slow_down();
                self.lose(flight.aboard);
            }
        }
    }

    /// Takes the batches for lost whose answer is overdue, and gives their tokens.
    pub fn give_up(&mut self, now_nanos: u64) -> Vec<u32> {
        let overdue = self.flights.iter().filter(|(_, flight)| flight.given_up_nanos <= now_nanos);
        let tokens: Vec<u32> = overdue.map(|(token, _)| *token).collect();
        for token in &tokens {
            self.landed(*token, None);
        }
        tokens
    }

    fn lose(&mut self, aboard: BTreeMap<Key, u64>) {
        self.tallies.not_delivered();
        // Tallies alone are no loss: they grow on and go again.
        if !aboard.is_empty() {
            self.batches_lost = self.batches_lost.saturating_add(1);
        }
        for (key, samples) in aboard {
            self.drop_samples(&key, samples);
        }
    }

    fn drop_samples(&mut self, key: &Key, dropped: u64) {
        self.tallies.add(key, &Counts { dropped, ..Counts::default() });
    }

    /// The readings of [`METERS`].
    pub fn meters(&self) -> [u64; METERS.len()] {
        let total = self.tallies.total();
        [
            total.exchanges,
            total.sampled,
            total.dropped,
            total.checked,
            total.violating,
            total.refused,
            total.blocked,
            total.unreadable,
            total.failed,
            total.tagged,
            total.diverted,
            total.would_refuse,
            total.response_violating,
            self.batches_lost,
            total.undiverted,
        ]
    }
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::intake::v1::{Outcome, ShipRequest};

    const SECOND: u64 = 1_000_000_000;

    fn table(sample_rate: f64, max_capture_bytes: u32) -> Table {
        let json = format!(
            r#"{{"collector":{{"max_buffer_bytes":100000,"max_batches_in_flight":1}},
                "models":[{{"model":"m","route":{{}},"protocol":"json","mode":"observe",
                "sample_rate":{sample_rate},"max_capture_bytes":{max_capture_bytes},
                "versions":[{{"version":"v1","cluster":"c1"}}]}}]}}"#
        );
        Table::parse(json.as_bytes()).unwrap()
    }

    fn worker(table: &Table) -> Worker {
        let mut worker = Worker::new(7);
        worker.configure("envoy-1".into(), table.collector.as_ref());
        worker
    }

    fn begin(worker: &mut Worker, table: &Table) -> Held {
        let served = table.find("/", None).unwrap();
        let head = RequestHead { method: "POST".into(), ..RequestHead::default() };
        let call = served.call(&head).unwrap();
        let asked = Asked { call, head, ended: false, may_hold: false, now_nanos: SECOND };
        worker.begin(table, served, asked).0
    }

    fn exchange(worker: &mut Worker, table: &Table) {
        let mut held = begin(worker, table);
        held.exchange.feed_request(b"{}");
        held.exchange.request_chunk_end(true);
        held.exchange.response_head(Default::default(), true);
        let end = End { now_nanos: 2 * SECOND, from_upstream: true, cluster: Some(b"c1") };
        worker.end(held, &end);
    }

    fn read(batch: &Batch) -> ShipRequest {
        ShipRequest::decode(&*batch.message).unwrap()
    }

    #[test]
    fn a_sample_and_its_counts_travel_together() {
        let table = table(1.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        exchange(&mut worker, &table);
        let request = read(&worker.next_batch(&collector, 3 * SECOND).unwrap());
        let sample = &request.samples[0];
        assert_eq!((request.node.as_str(), request.worker), ("envoy-1", 7));
        assert_eq!((sample.version.as_str(), sample.outcome()), ("v1", Outcome::Served));
        assert_eq!(sample.request_id, "0000000000000007-1");
        assert_eq!(sample.duration_nanos, SECOND);
        assert_eq!((request.tallies[0].exchanges, request.tallies[0].sampled), (1, 1));
    }

    #[test]
    fn the_answer_of_a_shadow_travels_and_counts_as_no_exchange() {
        let table = table(1.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        let served = table.find("/", None).unwrap();
        let mut begin = |request_id: &str| {
            let request_id = request_id.to_owned();
            let head = RequestHead { method: "POST".into(), request_id, ..RequestHead::default() };
            let call = served.call(&head).unwrap();
            let asked = Asked { call, head, ended: false, may_hold: true, now_nanos: SECOND };
            worker.begin_shadow(&table, served, asked)
        };
        assert!(begin("").is_none(), "without an id there is no pair");
        let mut held = begin("r-1").unwrap();
        held.exchange.response_head(Default::default(), true);
        let end = End { now_nanos: 2 * SECOND, from_upstream: true, cluster: Some(b"c1") };
        worker.end(held, &end);
        let request = read(&worker.next_batch(&collector, 3 * SECOND).unwrap());
        let sample = &request.samples[0];
        assert!(sample.shadow && sample.by_rate && sample.request.is_none());
        assert_eq!((sample.request_id.as_str(), sample.version.as_str()), ("r-1", "v1"));
        assert_eq!(request.tallies, []);
    }

    #[test]
    fn a_lost_batch_is_counted_as_dropped_samples_and_the_counts_go_again() {
        let table = table(1.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        exchange(&mut worker, &table);
        let batch = worker.next_batch(&collector, 3 * SECOND).unwrap();
        worker.sent(9, batch, &collector, 3 * SECOND);
        worker.landed(9, None);
        worker.landed(9, None);
        worker.landed(1234, None);
        let again = read(&worker.next_batch(&collector, 5 * SECOND).unwrap());
        assert_eq!((again.samples.len(), again.tallies[0].dropped), (0, 1));
        assert_eq!(worker.meters()[13], 1);
    }

    #[test]
    fn a_collector_that_never_answers_does_not_hold_the_slot_for_ever() {
        let table = table(1.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        exchange(&mut worker, &table);
        let batch = worker.next_batch(&collector, 3 * SECOND).unwrap();
        worker.sent(9, batch, &collector, 3 * SECOND);
        exchange(&mut worker, &table);
        assert_eq!(worker.give_up(4 * SECOND), [0; 0]);
        assert_eq!(worker.next_batch(&collector, 4 * SECOND), None);
        assert_eq!(worker.give_up(10 * SECOND), [9]);
        assert_eq!(read(&worker.next_batch(&collector, 10 * SECOND).unwrap()).samples.len(), 1);
        assert_eq!(worker.meters()[2], 1);
    }

    #[test]
    fn counts_alone_go_when_they_changed_and_at_most_once_a_second() {
        let table = table(0.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        assert_eq!(worker.next_batch(&collector, 3 * SECOND), None);
        exchange(&mut worker, &table);
        assert_eq!(read(&worker.next_batch(&collector, 3 * SECOND).unwrap()).samples.len(), 0);
        assert_eq!(worker.next_batch(&collector, 3 * SECOND), None);
        exchange(&mut worker, &table);
        assert_eq!(worker.next_batch(&collector, 3 * SECOND + SECOND / 2), None);
        assert!(worker.next_batch(&collector, 4 * SECOND).is_some());
        assert_eq!(worker.next_batch(&collector, 9 * SECOND), None);
    }

    #[test]
    fn bodies_under_way_are_bounded_and_what_is_not_kept_counts_as_dropped() {
        let table = table(1.0, 8 << 20);
        let mut worker = worker(&table);
        let held: Vec<_> = (0..5).map(|_| begin(&mut worker, &table)).collect();
        for held in held {
            worker.end(held, &End::default());
        }
        let meters = worker.meters();
        assert_eq!((meters[0], meters[1], meters[2]), (5, 5, 3), "two fit into 32 MiB");
        let held = begin(&mut worker, &table);
        worker.end(held, &End::default());
        assert_eq!(worker.meters()[2], 3, "what ended makes room again");
    }

    #[test]
    fn a_new_configuration_loses_nothing_that_waits() {
        let table = table(1.0, 1000);
        let collector = table.collector.clone().unwrap();
        let mut worker = worker(&table);
        exchange(&mut worker, &table);
        worker.configure("envoy-1".into(), table.collector.as_ref());
        assert_eq!(read(&worker.next_batch(&collector, 3 * SECOND).unwrap()).samples.len(), 1);
    }
}
