//! The shell: carries out in the host what the core asks for, and holds what one VM holds. It
//! decides nothing about traffic, and where something fails, traffic passes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tidegate_contract::plugin::BUCKET_HEADER;
use tidegate_proto::intake::v1::ShipResponse;

use crate::exchange::{Asked, Effect, End};
use crate::head::{RequestHead, ResponseHead};
use crate::holding::Holding;
use crate::host::{self, Action, Body, Level, Map};
use crate::log_budget::LogBudget;
use crate::pairs;
use crate::sticky;
use crate::table::Table;
use crate::tag;
use crate::worker::{Held, METERS, Worker};

const TICK: Duration = Duration::from_millis(100);
/// Bytes of a body read at once. A VM never gives memory back, so a large chunk is read in pieces.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes of a configuration; Envoy's own messages are far smaller.
const MAX_CONFIGURATION_BYTES: usize = 16 << 20;
/// Bytes of an answer of the collector; it is two numbers.
const MAX_ANSWER_BYTES: usize = 1 << 10;
const SERVICE: &str = "tidegate.intake.v1.Intake";
const METHOD: &str = "Ship";

thread_local! {
    // A VM has one thread. Where the host called back in the middle of a call, which Envoy does
    // not, the inner call would find this borrowed and let its traffic pass.
    static SHELL: RefCell<Shell> = RefCell::new(Shell::new());
}

struct Shell {
    worker: Worker,
    holding: Holding,
    roots: BTreeMap<u32, Arc<Table>>,
    /// The last table with a collector that came: what filters before versions go by.
    newest: Arc<Table>,
    streams: BTreeMap<u32, Stream>,
    /// Which root sent what is in flight, by token.
    flights: BTreeMap<u32, u32>,
    /// Roots that go once nothing of theirs is in flight.
    leaving: BTreeSet<u32>,
    meters: Vec<u32>,
    read: [u64; METERS.len()],
    log: LogBudget,
}

struct Stream {
    /// The configuration that was in force when the stream began.
    table: Arc<Table>,
    /// Whether it stands before a version, where only copies for shadows matter.
    shadow: bool,
    held: Option<Held>,
}

fn with<T>(otherwise: T, work: impl FnOnce(&mut Shell) -> T) -> T {
    SHELL.with(|shell| match shell.try_borrow_mut() {
        Ok(mut shell) => work(&mut shell),
        Err(_) => otherwise,
    })
}

pub fn root_created(root: u32) {
    with((), |shell| {
        shell.roots.insert(root, Arc::default());
    });
}

pub fn stream_created(context: u32, root: u32) {
    with((), |shell| {
        let own = shell.roots.get(&root).cloned().unwrap_or_default();
        let shadow = own.shadow;
        let table = if shadow { Arc::clone(&shell.newest) } else { own };
        shell.streams.insert(context, Stream { table, shadow, held: None });
    });
}

pub fn configure(root: u32, length: usize) -> bool {
    with(false, |shell| shell.configure(root, length))
}

pub fn tick(root: u32) {
    with((), |shell| shell.tick(root));
}

pub fn request_headers(context: u32, ended: bool) -> Action {
    with(Action::Continue, |shell| {
        let effect = shell.request_headers(context, ended).unwrap_or(Effect::Pass);
        shell.carry_out(context, effect)
    })
}

pub fn request_body(context: u32, length: usize, ended: bool) -> Action {
    with(Action::Continue, |shell| {
        let effect = shell.request_body(context, length, ended).unwrap_or(Effect::Pass);
        shell.carry_out(context, effect)
    })
}

pub fn response_headers(context: u32, ended: bool) {
    with((), |shell| {
        shell.response_headers(context, ended);
    });
}

pub fn response_body(context: u32, length: usize, ended: bool) {
    with((), |shell| {
        shell.response_body(context, length, ended);
    });
}

/// A context is about to go: a stream that ended, or a root. `proxy_on_log` would tell the former as
/// well, but each call into the VM costs as much as a check of some kilobytes.
pub fn may_go(context: u32) -> bool {
    with(true, |shell| shell.may_go(context))
}

pub fn deleted(context: u32) {
    with((), |shell| {
        shell.end(context);
        shell.streams.remove(&context);
        shell.roots.remove(&context);
        shell.leaving.remove(&context);
    });
}

/// A call was answered with so many bytes, or failed.
pub fn landed(root: u32, token: u32, answer: Option<usize>) {
    with((), |shell| shell.landed(root, token, answer));
}

impl Shell {
    fn new() -> Self {
        let mut random = RandomState::new().build_hasher();
        random.write_u64(host::now_nanos());
        Self {
            worker: Worker::new(random.finish()),
            holding: Holding::default(),
            roots: BTreeMap::new(),
            newest: Arc::default(),
            streams: BTreeMap::new(),
            flights: BTreeMap::new(),
            leaving: BTreeSet::new(),
            meters: METERS.iter().filter_map(|name| host::counter(name).ok()).collect(),
            read: [0; METERS.len()],
            log: LogBudget::default(),
        }
    }

    fn configure(&mut self, root: u32, length: usize) -> bool {
        if length > MAX_CONFIGURATION_BYTES {
            host::log(Level::Error, &format!("configuration of {length} bytes refused"));
            return false;
        }
        let json =
            if length == 0 { Ok(Vec::new()) } else { host::body(Body::Configuration, 0, length) };
        let Ok(json) = json else {
            host::log(Level::Error, "the host did not hand over the configuration");
            return false;
        };
        match Table::parse(&json) {
            Ok(table) => {
                let node = host::property(&["xds", "node", "id"]).unwrap_or_default();
                let node = String::from_utf8_lossy(&node).into_owned();
                self.worker.configure(node, table.collector.as_ref());
                let table = Arc::new(table);
                if table.collector.is_some() {
                    self.newest = Arc::clone(&table);
                }
                self.roots.insert(root, table);
                self.holding.start_over();
                host::tick_every(TICK).is_ok()
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    host::log(Level::Error, &format!("configuration refused: {mistake}"));
                }
                false
            }
        }
    }

    fn request_headers(&mut self, context: u32, ended: bool) -> Option<Effect> {
        let stream = self.streams.get_mut(&context)?;
        if stream.table.is_empty() {
            return None;
        }
        let headers = host::headers(Map::RequestHeaders).ok()?;
        let mut head = RequestHead::read(pairs::read(&headers));
        if stream.shadow && !head.mirrored {
            return None;
        }
        let route = if stream.table.asks_route_name() {
            host::property(&["xds", "route_name"]).ok()
        } else {
            None
        };
        let served = stream.table.find(&head.path, route.as_deref())?;
        if stream.shadow {
            let call = served.call(&head)?;
            let now_nanos = host::now_nanos();
            let asked = Asked { call, head, ended, may_hold: false, now_nanos };
            stream.held = self.worker.begin_shadow(&stream.table, served, asked);
            return None;
        }
        if let Some(order) = &served.order {
            let client = || host::property(&["source", "address"]).ok();
            order.look(&mut head, || pairs::read(&headers), client);
        }
        for name in &head.forged {
            // One that cannot be removed does not decide anything here.
            let _ = host::remove_header(Map::RequestHeaders, name);
        }
        let call = served.call(&head)?;
        if let Some(sticky) = &served.sticky {
            let client = || host::property(&["source", "address"]).ok();
            if let Some(bucket) = sticky::bucket(sticky, pairs::read(&headers), client) {
                // The host looks for the route again, and takes the bucket for its random number.
                let _ = host::add_header(Map::RequestHeaders, BUCKET_HEADER, &bucket);
            }
        }
        let (may_hold, now_nanos) = (self.holding.may_hold(), host::now_nanos());
        let asked = Asked { call, head, ended, may_hold, now_nanos };
        let (held, effect) = self.worker.begin(&stream.table, served, asked);
        stream.held = Some(held);
        Some(effect)
    }

    fn request_body(&mut self, context: u32, length: usize, ended: bool) -> Option<Effect> {
        let exchange = &mut self.streams.get_mut(&context)?.held.as_mut()?.exchange;
        if length > 0 {
            self.holding.body_came(context);
        }
        // While a body is held the host hands over all of it again, from the start.
        let mut at = exchange.held_bytes();
        while at < length {
            let piece = if exchange.reads_request() {
                host::body(Body::Request, at, length.saturating_sub(at).min(PIECE_BYTES))
            } else {
                Ok(Vec::new())
            };
            match piece {
                Ok(piece) if !piece.is_empty() => {
                    at = at.saturating_add(piece.len());
                    exchange.feed_request(piece);
                }
                _ => {
                    exchange.skip_request(length.saturating_sub(at));
                    at = length;
                }
            }
        }
        Some(exchange.request_chunk_end(ended))
    }

    fn carry_out(&mut self, context: u32, effect: Effect) -> Action {
        match effect {
            Effect::Pass => Action::Continue,
            Effect::Hold => {
                self.holding.hold(context, host::now_nanos());
                Action::Pause
            }
            Effect::Release(release) => {
                self.holding.released(context);
                if let Some(tag) = release.tag {
                    // The response carries it too.
                    let _ = host::add_header(Map::RequestHeaders, tag::HEADER, &tag);
                }
                if let Some(divert) = release.divert {
                    // The host looks for the route again when a header of the request changed.
                    let _ = host::add_header(Map::RequestHeaders, tag::DIVERT, &divert);
                }
                Action::Continue
            }
            Effect::Stop => Action::Pause,
            Effect::Answer(answer) => {
                let headers: Vec<_> =
                    answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let grpc = answer.grpc.map(|status| status as i32);
                match host::answer(answer.status, "tidegate", &headers, &answer.body, grpc) {
                    Ok(()) => Action::Pause,
                    Err(host::Refused(status)) => {
                        if let Some(held) =
                            self.streams.get_mut(&context).and_then(|s| s.held.as_mut())
                        {
                            held.exchange.not_answered();
                        }
                        self.say(Level::Warn, &format!("no local answer: status {status}"));
                        Action::Continue
                    }
                }
            }
        }
    }

    fn response_headers(&mut self, context: u32, ended: bool) -> Option<()> {
        let exchange = &mut self.streams.get_mut(&context)?.held.as_mut()?.exchange;
        let head = if exchange.reads_response_head() {
            ResponseHead::read(pairs::read(&host::headers(Map::ResponseHeaders).ok()?))
        } else {
            let status = host::header(Map::ResponseHeaders, ":status").ok()?;
            ResponseHead::read([(&b":status"[..], &*status)])
        };
        if let Some(tag) = exchange.response_head(head, ended) {
            host::add_header(Map::ResponseHeaders, tag::HEADER, &tag).ok()?;
        }
        Some(())
    }

    fn response_body(&mut self, context: u32, length: usize, ended: bool) -> Option<()> {
        let exchange = &mut self.streams.get_mut(&context)?.held.as_mut()?.exchange;
        let mut at = 0;
        while at < length {
            let piece = if exchange.reads_response() {
                host::body(Body::Response, at, length.saturating_sub(at).min(PIECE_BYTES))
            } else {
                Ok(Vec::new())
            };
            match piece {
                Ok(piece) if !piece.is_empty() => {
                    at = at.saturating_add(piece.len());
                    exchange.feed_response(piece);
                }
                _ => {
                    exchange.skip_response(length.saturating_sub(at));
                    at = length;
                }
            }
        }
        exchange.response_chunk_end(ended);
        Some(())
    }

    fn end(&mut self, context: u32) {
        self.holding.released(context);
        let Some(stream) = self.streams.get_mut(&context) else { return };
        let (shadow, Some(held)) = (stream.shadow, stream.held.take()) else { return };
        let cluster = host::property(&["xds", "cluster_name"]).ok();
        // Before a version nothing but its answer comes back.
        let from_upstream = shadow
            || if held.exchange.may_be_the_hosts() {
                let details = host::property(&["response", "code_details"]);
                details.is_ok_and(|details| details == b"via_upstream")
            } else {
                cluster.is_some()
            };
        let now_nanos = host::now_nanos();
        self.worker.end(held, &End { now_nanos, from_upstream, cluster: cluster.as_deref() });
    }

    fn tick(&mut self, root: u32) {
        self.read_meters();
        self.ship(root);
        // Last, because from here on the host acts in the name of a stream.
        self.let_go();
    }

    /// Any root that has a collector ships: the host may go back to an older one without a word.
    fn ship(&mut self, root: u32) {
        let Some(table) = self.roots.get(&root).cloned() else { return };
        let Some(collector) = &table.collector else { return };
        let now = host::now_nanos();
        let given_up = self.worker.give_up(now);
        self.flights.retain(|token, _| !given_up.contains(token));
        while let Some(batch) = self.worker.next_batch(collector, now) {
            let timeout = collector.timeout_milliseconds;
            match host::grpc_call(&collector.cluster, SERVICE, METHOD, &batch.message, timeout) {
                Ok(token) => {
                    self.flights.insert(token, root);
                    self.worker.sent(token, batch, collector, now);
                }
                Err(host::Refused(status)) => {
                    self.worker.not_sent(batch);
                    let cluster = &collector.cluster;
                    self.say(Level::Warn, &format!("no call to {cluster}: status {status}"));
                    return;
                }
            }
        }
    }

    /// No request is held for long: where its body does not come, it goes on without a tag.
    fn let_go(&mut self) {
        for context in self.holding.overdue(host::now_nanos()) {
            if let Some(held) = self.streams.get_mut(&context).and_then(|s| s.held.as_mut()) {
                held.exchange.let_go();
                let _ = host::continue_request(context);
            }
        }
    }

    fn landed(&mut self, root: u32, token: u32, answer: Option<usize>) {
        self.flights.remove(&token);
        let pace = answer.map(|length| {
            let most = length.min(MAX_ANSWER_BYTES);
            let bytes = host::body(Body::GrpcAnswer, 0, most).unwrap_or_default();
            ShipResponse::decode(bytes.as_slice()).map_or(0.0, |answer| answer.pace)
        });
        self.worker.landed(token, pace);
        if pace.is_none() {
            self.say(Level::Warn, "a batch of samples was lost: the collector did not take it");
        }
        if self.leaving.contains(&root) && !self.flights.values().any(|owner| *owner == root) {
            self.leaving.remove(&root);
            host::finished();
        }
    }

    /// A root waits for its batches, because the host drops the calls of a root that went.
    fn may_go(&mut self, context: u32) -> bool {
        if self.streams.contains_key(&context) {
            self.end(context);
            return true;
        }
        let waits = self.roots.contains_key(&context)
            && self.flights.values().any(|owner| *owner == context);
        if waits {
            self.leaving.insert(context);
        }
        !waits
    }

    fn read_meters(&mut self) {
        let now = self.worker.meters();
        for ((id, before), now) in self.meters.iter().zip(&self.read).zip(&now) {
            if now > before {
                host::count(*id, now.saturating_sub(*before));
            }
        }
        self.read = now;
    }

    fn say(&mut self, level: Level, text: &str) {
        if self.log.spend(host::now_nanos()) {
            host::log(level, text);
        }
    }
}
