//! The shell of the dynamic module: carries out in Envoy what the core asks for. It decides
//! nothing about traffic, and where something fails, traffic passes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_contract::plugin::BUCKET_HEADER;

use super::abi::{self, Action, Body, Level, Map, Refused, Root, Stream};
use super::fleet::{self, Berth, Flights, held, now_nanos};
use crate::exchange::{Asked, Effect, End};
use crate::head::{RequestHead, ResponseHead};
use crate::log_budget::LogBudget;
use crate::problem::Answer;
use crate::sticky;
use crate::table::Table;
use crate::tag;
use crate::worker::{Held, METERS};

const TICK: Duration = Duration::from_millis(100);
/// Bytes of a configuration; Envoy's own messages are far smaller.
const MAX_CONFIGURATION_BYTES: usize = 16 << 20;

/// One configuration, shared by all workers.
pub(super) struct Config {
    table: Arc<Table>,
    counters: Vec<usize>,
    port: Mutex<Port>,
    clock: Clock,
}

/// What only the main thread uses.
#[derive(Default)]
struct Port {
    flights: Flights,
    log: LogBudget,
}

/// A thread that rings every [`TICK`], because Envoy gives modules no timer. It rings again only
/// when it was heard.
struct Clock {
    face: Arc<Face>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Face {
    rung: AtomicBool,
    stopped: AtomicBool,
}

/// One stream.
pub(super) struct Filter {
    /// The configuration that was in force when the stream began.
    table: Arc<Table>,
    /// Whether it stands before a version, where only copies for shadows matter.
    shadow: bool,
    berth: Arc<Berth>,
    held: Option<Held>,
    /// The cluster whose answer came, where it is a shadow's: Envoy does not say when that stream is
    /// complete, and at its end there is nothing left to ask.
    answered_by: Option<Box<[u8]>>,
    /// Its number while Envoy holds its request.
    waits: Option<u32>,
    answered: bool,
}

/// Makes a configuration; `None` makes Envoy refuse it and keep what it has.
pub(super) fn configure(root: &mut Root, json: &[u8]) -> Option<Config> {
    if json.len() > MAX_CONFIGURATION_BYTES {
        let length = json.len();
        abi::log(Level::Error, &format!("tidegate: configuration of {length} bytes refused"));
        return None;
    }
    let table = match Table::parse(json) {
        Ok(table) => Arc::new(table),
        Err(mistakes) => {
            for mistake in mistakes {
                abi::log(Level::Error, &format!("tidegate: configuration refused: {mistake}"));
            }
            return None;
        }
    };
    let counters = METERS.iter().filter_map(|name| root.counter(name).ok()).collect();
    let clock = match Clock::start(root) {
        Ok(clock) => clock,
        Err(error) => {
            abi::log(Level::Error, &format!("tidegate: no thread for the clock: {error}"));
            return None;
        }
    };
    fleet::configure(&table);
    Some(Config { table, counters, port: Mutex::default(), clock })
}

impl Clock {
    fn start(root: &mut Root) -> std::io::Result<Self> {
        let face = Arc::new(Face::default());
        let (bell, seen) = (root.bell(), Arc::clone(&face));
        let thread = std::thread::Builder::new().name("tidegate".to_owned()).spawn(move || {
            while !seen.stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(TICK);
                if !seen.rung.swap(true, Ordering::AcqRel) {
                    bell.ring();
                }
            }
        })?;
        Ok(Self { face, thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // The thread must be gone before Envoy unloads its code.
        self.face.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Config {
    /// Ten times a second, on the main thread.
    pub(super) fn tick(&self, root: &mut Root) {
        self.clock.face.rung.store(false, Ordering::Release);
        Flights::read_meters(root, &self.counters);
        Flights::let_go();
        let Some(collector) = &self.table.collector else { return };
        let mut port = held(&self.port);
        if let Err(Refused(status)) = port.flights.ship(root, collector) {
            let cluster = &collector.cluster;
            port.say(&format!("tidegate: no call to {cluster}: status {status}"));
        }
    }

    /// A batch was answered, or will never be.
    pub(super) fn landed<'a>(
        &self,
        call: u64,
        answered: bool,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        chunks: impl Iterator<Item = &'a [u8]>,
    ) {
        let pace = if answered { fleet::pace(headers, chunks) } else { None };
        let mut port = held(&self.port);
        port.flights.landed(call, pace);
        if pace.is_none() {
            port.say("tidegate: a batch of samples was lost: the collector did not take it");
        }
    }
}

impl Port {
    fn say(&mut self, text: &str) {
        if self.log.spend(now_nanos()) {
            abi::log(Level::Warn, text);
        }
    }
}

impl Filter {
    /// A stream that begins, on the thread of its worker.
    pub(super) fn new(config: &Config) -> Self {
        let shadow = config.table.shadow;
        let table = if shadow { fleet::newest() } else { Arc::clone(&config.table) };
        Self {
            table,
            shadow,
            berth: Berth::mine(),
            held: None,
            answered_by: None,
            waits: None,
            answered: false,
        }
    }

    pub(super) fn request_headers(&mut self, stream: &mut Stream, ended: bool) -> Action {
        let effect = self.begin(stream, ended).unwrap_or(Effect::Pass);
        self.carry_out(stream, effect)
    }

    fn begin(&mut self, stream: &mut Stream, ended: bool) -> Option<Effect> {
        if self.table.is_empty() {
            return None;
        }
        let mut head = RequestHead::read(stream.headers(Map::Request));
        if self.shadow && !head.mirrored {
            return None;
        }
        let route = if self.table.asks_route_name() { stream.route_name() } else { None };
        let served = Arc::clone(self.table.find(&head.path, route)?);
        if self.shadow {
            let call = served.call(&head)?;
            let asked = Asked { call, head, ended, may_hold: false, now_nanos: now_nanos() };
            self.held = self.berth.state().worker.begin_shadow(&self.table, &served, asked);
            return None;
        }
        if let Some(order) = &served.order {
            let client = || stream.source_address().map(<[u8]>::to_vec);
            order.look(&mut head, || stream.headers(Map::Request), client);
        }
        for name in &head.forged {
            stream.remove_header(Map::Request, name);
        }
        let call = served.call(&head)?;
        let client = || stream.source_address().map(<[u8]>::to_vec);
        let sticky = served.sticky.as_ref();
        let bucket = sticky.and_then(|by| sticky::bucket(by, stream.headers(Map::Request), client));
        if let Some(bucket) = &bucket {
            stream.add_header(Map::Request, BUCKET_HEADER, bucket);
        }
        if bucket.is_some() || !head.forged.is_empty() {
            // What a client forged must not have chosen the route, either.
            stream.choose_route_again();
        }
        let now_nanos = now_nanos();
        let mut state = self.berth.state();
        let may_hold = state.holding.may_hold();
        let asked = Asked { call, head, ended, may_hold, now_nanos };
        let (held, effect) = state.worker.begin(&self.table, &served, asked);
        self.held = Some(held);
        Some(effect)
    }

    pub(super) fn request_body(&mut self, stream: &mut Stream, ended: bool) -> Action {
        let effect = self.feed(stream, ended).unwrap_or(Effect::Pass);
        self.carry_out(stream, effect)
    }

    fn feed(&mut self, stream: &Stream, ended: bool) -> Option<Effect> {
        let exchange = &mut self.held.as_mut()?.exchange;
        let mut pieces = Vec::new();
        // Envoy moves the last chunk of a held body to what it holds already.
        let mut known = exchange.held_bytes();
        if self.waits.is_some() {
            pieces = stream.pieces(Body::HeldRequest);
        } else {
            known = 0;
        }
        pieces.extend(stream.pieces(Body::Request));
        let mut came = false;
        for whole in pieces {
            let piece = whole.get(known.min(whole.len())..).unwrap_or_default();
            known = known.saturating_sub(whole.len());
            if piece.is_empty() {
                continue;
            }
            came = true;
            if exchange.reads_request() {
                exchange.feed_request(piece);
            } else {
                exchange.skip_request(piece.len());
            }
        }
        let effect = exchange.request_chunk_end(ended);
        if let Some(number) = self.waits.filter(|_| came) {
            self.berth.state().holding.body_came(number);
        }
        Some(effect)
    }

    pub(super) fn request_trailers(&mut self, stream: &mut Stream) -> Action {
        let effect = match &mut self.held {
            Some(held) => held.exchange.request_chunk_end(true),
            None => Effect::Pass,
        };
        self.carry_out(stream, effect)
    }

    fn carry_out(&mut self, stream: &mut Stream, effect: Effect) -> Action {
        match effect {
            Effect::Pass => Action::Continue,
            Effect::Hold => {
                if self.waits.is_none() {
                    let mut state = self.berth.state();
                    let number = state.number();
                    state.holding.hold(number, now_nanos());
                    state.callers.insert(number, stream.caller());
                    self.waits = Some(number);
                }
                Action::Hold
            }
            Effect::Release(release) => {
                self.released();
                if let Some(tag) = release.tag {
                    // The response carries it too.
                    stream.add_header(Map::Request, tag::HEADER, &tag);
                }
                if let Some(divert) = release.divert {
                    stream.add_header(Map::Request, tag::DIVERT, &divert);
                    stream.choose_route_again();
                }
                Action::Continue
            }
            Effect::Stop => Action::Stop,
            Effect::Answer(answer) => {
                self.answer(stream, &answer);
                Action::Stop
            }
        }
    }

    fn answer(&mut self, stream: &mut Stream, answer: &Answer) {
        let mut headers: Vec<_> =
            answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // Envoy asks no hook about this response, so it is told here.
        self.answered = true;
        if let Some(held) = &mut self.held {
            let head =
                ResponseHead::read(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            let head = ResponseHead { status: answer.status.into(), ..head };
            held.exchange.response_head(head, false);
            held.exchange.feed_response(&answer.body);
            held.exchange.response_chunk_end(true);
        }
        let grpc = answer.grpc.map(|status| (status as i32).to_string());
        headers.extend(grpc.iter().map(|status| ("grpc-status", status.as_str())));
        stream.answer(answer.status, "tidegate", &headers, &answer.body);
    }

    pub(super) fn response_headers(&mut self, stream: &mut Stream, ended: bool) {
        let Some(held) = self.held.as_mut().filter(|_| !self.answered) else { return };
        if self.shadow {
            self.answered_by = stream.cluster().map(Box::from);
        }
        let head = ResponseHead::read(stream.headers(Map::Response));
        if let Some(tag) = held.exchange.response_head(head, ended) {
            stream.add_header(Map::Response, tag::HEADER, &tag);
        }
    }

    pub(super) fn response_body(&mut self, stream: &Stream, ended: bool) {
        let Some(held) = self.held.as_mut().filter(|_| !self.answered) else { return };
        for piece in stream.pieces(Body::Response) {
            if held.exchange.reads_response() {
                held.exchange.feed_response(piece);
            } else {
                held.exchange.skip_response(piece.len());
            }
        }
        held.exchange.response_chunk_end(ended);
    }

    pub(super) fn response_end(&mut self) {
        if let Some(held) = self.held.as_mut().filter(|_| !self.answered) {
            held.exchange.response_chunk_end(true);
        }
    }

    /// Ends the exchange; without a stream there is nothing left to ask.
    pub(super) fn end(&mut self, stream: Option<&Stream>) {
        self.released();
        let Some(held) = self.held.take() else { return };
        let details = stream.and_then(Stream::code_details).unwrap_or_default();
        let end = End {
            now_nanos: now_nanos(),
            from_upstream: self.shadow || details == b"via_upstream",
            cluster: self.answered_by.as_deref().or_else(|| stream.and_then(Stream::cluster)),
        };
        self.berth.state().worker.end(held, &end);
    }

    /// The clock called: no request is held for long, and where its body did not come, it goes on
    /// without a tag.
    pub(super) fn called(&mut self, stream: &mut Stream) {
        if self.waits.is_some()
            && let Some(held) = &mut self.held
        {
            held.exchange.let_go();
            self.released();
            stream.continue_request();
        }
    }

    fn released(&mut self) {
        if let Some(number) = self.waits.take() {
            let mut state = self.berth.state();
            state.holding.released(number);
            state.callers.remove(&number);
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // Envoy says that a stream is complete before it destroys it; if not, it still counts.
        self.end(None);
    }
}
