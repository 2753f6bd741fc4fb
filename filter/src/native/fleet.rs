//! The fleet: what each worker thread holds beyond a single exchange, and how all of it is shipped
//! from Envoy's main thread, from which alone a module may call out without a request. It does not
//! know what is decided about traffic.
//!
//! A worker's state has a lock, because the main thread looks at it ten times a second. Its own
//! thread takes the lock when an exchange begins and when it ends, and finds it free but for the
//! moment in which a batch is packed. Bodies pass without it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;
use tidegate_contract::plugin::Collector;
use tidegate_proto::intake::v1::ShipResponse;

use super::abi::{Caller, Refused, Root};
use crate::batch::Batch;
use crate::holding::Holding;
use crate::table::Table;
use crate::worker::{METERS, Worker};

const PATH: &str = "/tidegate.intake.v1.Intake/Ship";
/// A gRPC message's head: whether it is compressed, and its length.
const FRAME_BYTES: usize = 5;
/// Bytes of an answer of the collector; it is two numbers.
const MAX_ANSWER_BYTES: usize = 1 << 10;

/// Every worker thread's state, and the newest table with a collector.
static FLEET: Mutex<Fleet> = Mutex::new(Fleet { berths: Vec::new(), newest: None });

thread_local! {
    static BERTH: OnceCell<Arc<Berth>> = const { OnceCell::new() };
}

struct Fleet {
    berths: Vec<Arc<Berth>>,
    newest: Option<Arc<Table>>,
}

/// One worker thread's place in the fleet.
pub(super) struct Berth(Mutex<State>);

/// What one worker thread holds.
pub(super) struct State {
    pub(super) worker: Worker,
    pub(super) holding: Holding,
    /// Who to call when a stream was held for long enough, by its number.
    pub(super) callers: BTreeMap<u32, Caller>,
    streams: u32,
    tokens: u32,
    read: [u64; METERS.len()],
}

/// Takes a lock; one that a panic left behind is as good as any, because its state is only counts
/// and what waits.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds since the epoch.
pub(super) fn now_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Takes the bounds of a new table, for every worker. One without a collector has none.
pub(super) fn configure(table: &Arc<Table>) {
    if table.collector.is_none() {
        return;
    }
    let mut fleet = held(&FLEET);
    for berth in &fleet.berths {
        let mut state = berth.state();
        state.worker.configure(table.node.clone(), table.collector.as_ref());
        state.holding.start_over();
    }
    fleet.newest = Some(Arc::clone(table));
}

/// The newest table with a collector, by which filters before versions go.
pub(super) fn newest() -> Arc<Table> {
    held(&FLEET).newest.clone().unwrap_or_default()
}

fn berths() -> Vec<Arc<Berth>> {
    held(&FLEET).berths.clone()
}

impl Berth {
    /// That of this thread.
    pub(super) fn mine() -> Arc<Self> {
        BERTH.with(|berth| Arc::clone(berth.get_or_init(Self::enrol)))
    }

    fn enrol() -> Arc<Self> {
        let mut random = RandomState::new().build_hasher();
        random.write_u64(now_nanos());
        let mut worker = Worker::new(random.finish());
        let mut fleet = held(&FLEET);
        if let Some(table) = &fleet.newest {
            worker.configure(table.node.clone(), table.collector.as_ref());
        }
        let berth = Arc::new(Self(Mutex::new(State {
            worker,
            holding: Holding::default(),
            callers: BTreeMap::new(),
            streams: 0,
            tokens: 0,
            read: [0; METERS.len()],
        })));
        fleet.berths.push(Arc::clone(&berth));
        berth
    }

    /// Its state.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        held(&self.0)
    }
}

impl State {
    /// A number for a stream that is held.
    pub(super) fn number(&mut self) -> u32 {
        self.streams = self.streams.wrapping_add(1);
        self.streams
    }

    /// What the meters gained since they were read last.
    fn gained(&mut self) -> [u64; METERS.len()] {
        let now = self.worker.meters();
        let mut gained = now;
        for (gained, before) in gained.iter_mut().zip(&self.read) {
            *gained = gained.saturating_sub(*before);
        }
        self.read = now;
        gained
    }
}

/// Batches under way: who waits for them, by the number of the call that carries them.
#[derive(Default)]
pub(super) struct Flights(BTreeMap<u64, (Arc<Berth>, u32)>);

impl Flights {
    /// Adds to the counters what every worker gained.
    pub(super) fn read_meters(root: &mut Root, counters: &[usize]) {
        for berth in berths() {
            let gained = berth.state().gained();
            for (id, more) in counters.iter().zip(gained).filter(|(_, more)| *more > 0) {
                root.count(*id, more);
            }
        }
    }

    /// Calls the streams that were held for long enough.
    pub(super) fn let_go() {
        let now = now_nanos();
        for berth in berths() {
            let mut state = berth.state();
            for stream in state.holding.overdue(now) {
                if let Some(caller) = state.callers.remove(&stream) {
                    caller.call();
                }
            }
        }
    }

    /// Sends what waits in every worker, as much as may be under way.
    pub(super) fn ship(&mut self, root: &mut Root, collector: &Collector) -> Result<(), Refused> {
        let now = now_nanos();
        for berth in berths() {
            let given_up = berth.state().worker.give_up(now);
            self.0.retain(|_, (of, token)| !Arc::ptr_eq(of, &berth) || !given_up.contains(token));
            loop {
                // The lock is not held while Envoy sends: whatever it calls may take it.
                let Some(batch) = berth.state().worker.next_batch(collector, now) else { break };
                self.send(root, collector, &berth, batch, now)?;
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        root: &mut Root,
        collector: &Collector,
        berth: &Arc<Berth>,
        batch: Batch,
        now: u64,
    ) -> Result<(), Refused> {
        let timeout = collector.timeout_milliseconds;
        let patience = format!("{timeout}m");
        let headers = [
            (":method", "POST"),
            (":path", PATH),
            ("host", collector.cluster.as_str()),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", patience.as_str()),
        ];
        match root.send(&collector.cluster, &headers, &framed(&batch.message), timeout) {
            Ok(call) => {
                let mut state = berth.state();
                state.tokens = state.tokens.wrapping_add(1);
                let token = state.tokens;
                state.worker.sent(token, batch, collector, now);
                self.0.insert(call, (Arc::clone(berth), token));
                Ok(())
            }
            Err(refused) => {
                berth.state().worker.not_sent(batch);
                Err(refused)
            }
        }
    }

    /// A call was answered.
    pub(super) fn landed(&mut self, call: u64, pace: Option<f64>) {
        if let Some((berth, token)) = self.0.remove(&call) {
            berth.state().worker.landed(token, pace);
        }
    }
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(message.len().saturating_add(FRAME_BYTES));
    framed.push(0);
    framed.extend(length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// The pace that an answer asks for; `None` where the call failed. Envoy hands over the answer's
/// headers and its body, and not its trailers, where a status stands after a message; but a unary
/// call that failed has no message, and one that succeeded has one.
pub(super) fn pace<'a>(
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Option<f64> {
    let mut found = false;
    for (name, value) in headers {
        match name {
            b":status" => found = value == b"200",
            b"grpc-status" if value != b"0" => return None,
            _ => {}
        }
    }
    let bytes: Vec<u8> = chunks.flatten().copied().take(MAX_ANSWER_BYTES).collect();
    let (_head, message) = bytes.split_at_checked(FRAME_BYTES).filter(|_| found)?;
    Some(ShipResponse::decode(message).map_or(0.0, |answer| answer.pace))
}
