//! Intake: the gRPC door for batches from the filters. Wire messages are private to this file:
//! they become rows and counts here, in the caller's task, and the mind gets only those. It does not
//! know what the rows are for, only the names of the columns that are wanted.
//!
//! A batch is read before it is known whether the mind has room for it, so what reading may cost is
//! bounded here: each sample by its own bytes, all of them together by [`BATCH_CELLS`].
//!
//! Lossy by contract: when the mind is busy, a batch is lost, counted, and the filter is told so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tidegate_contract::columns::{self, Cell, Columns, Wanted};
use tidegate_contract::format::Format;
use tidegate_contract::protocol::Side;
use tidegate_proto::intake::v1::intake_server::Intake;
use tidegate_proto::intake::v1::{
    Outcome, Payload, Reason, Sample, ShipRequest, ShipResponse, Tally,
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::breaches::{Broken, Deeds, Told};
use crate::custom_metrics::CustomMetrics;
use crate::labels::kept::Answered;
use crate::labels::label::MAX_ID_BYTES;
use crate::metrics::{Loss, Metrics};
use crate::rollout::pairs::Answer;
use crate::store;
use crate::store::part::{About, Kept};
use crate::watch::Counts;

/// What the tables of one batch may cost, in cells of 24 bytes: 6 MiB. A sample beyond what is left
/// is unreadable. Texts come on top, at most as long as the batch, with an allocation each.
pub const BATCH_CELLS: usize = 1 << 18;
/// Ways of breaking fields that one tally may name; the filter names at most 64.
const MAX_BREACHES: usize = 64;
/// Bytes of the name of a field; those of a contract are no longer.
const MAX_NAME_BYTES: usize = 256;
/// Links from a window to the exchanges it judged, for each batch and model.
const MAX_LINKS: usize = 4;

/// The least pace that is asked for: counts of a model must not become blind.
const LEAST_PACE: f64 = 1.0 / 64.0;

/// What one batch brought for one model.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Rows of the samples that reached the model.
    pub rows: Vec<Arc<Columns>>,
    /// The request ids of these samples, in the same order.
    pub ids: Vec<Box<str>>,
    /// Rows of its answers, where outputs are judged; one that cannot be read is passed over.
    pub answers: Vec<Arc<Columns>>,
    /// Both sides of exchanges that a version answered, as far as they can be read, where metrics
    /// look at them.
    pub exchanges: Vec<[Option<Arc<Columns>>; 2]>,
    /// Answers that labels may come for.
    pub answered: Vec<Answered>,
    /// Answers that may be half of a pair, while a candidate is held against the primary.
    pub halves: Vec<Answer>,
    /// Samples that arrived.
    pub samples: u64,
    /// Of these, the ones whose request could not be read.
    pub unreadable: u64,
    /// Counts by version, cumulative, and what of them came with this very batch.
    pub counts: Vec<(String, Counts, Counts)>,
    /// What the contract did with requests, by version.
    pub told: Vec<Told>,
    /// The spans of some of the exchanges.
    pub links: Vec<SpanContext>,
}

/// One batch, read.
#[derive(Debug)]
pub struct Batch {
    /// The worker that sent it.
    pub worker: u64,
    /// By index of the model in the configuration.
    pub deliveries: HashMap<usize, Delivery>,
    /// Samples for the store, each with the place of its model.
    pub kept: Vec<(usize, Kept)>,
    /// The span of its own arrival, where spans are collected.
    pub arrival: Option<SpanContext>,
}

/// Samples that were lost at the door because the mind was busy, by model; the mind takes them
/// over with the next batch it gets, so that each window knows its coverage.
#[derive(Debug, Default)]
pub struct LostAtDoor(Vec<AtomicU64>);

impl LostAtDoor {
    /// Room for so many models.
    #[must_use]
    pub fn new(models: usize) -> Self {
        Self((0..models).map(|_| AtomicU64::new(0)).collect())
    }

    /// What was lost for a model since the last call.
    pub fn take(&self, model: usize) -> u64 {
        self.0.get(model).map_or(0, |lost| lost.swap(0, Ordering::Relaxed))
    }

    fn add(&self, model: usize, samples: u64) {
        if let Some(lost) = self.0.get(model) {
            lost.fetch_add(samples, Ordering::Relaxed);
        }
    }
}

/// What the door reads of a model's samples.
#[derive(Debug)]
pub struct Reads {
    /// The model's name.
    pub model: String,
    /// Columns of requests.
    pub inputs: Wanted,
    /// Columns of answers, where any are wanted.
    pub outputs: Option<Wanted>,
    /// What is kept for labels, where some are awaited.
    pub keeps: Option<Keeps>,
    /// Whether metrics look at both sides of an exchange.
    pub measured: bool,
    /// The names of versions, in the configuration's order.
    pub versions: Vec<String>,
    /// Columns of answers that are wanted where samples are kept on disk, and while a candidate is held
    /// against the primary: all that `outputs` has, and more.
    pub all_outputs: Wanted,
}

/// For which models, by their place in the configuration, pairs of answers are wanted just now.
#[derive(Debug, Default)]
pub struct Pairing(Vec<AtomicBool>);

impl Pairing {
    /// For none of so many models.
    #[must_use]
    pub fn new(models: usize) -> Self {
        Self((0..models).map(|_| AtomicBool::new(false)).collect())
    }

    /// Says whether they are wanted for a model from now on.
    pub fn want(&self, model: usize, wanted: bool) {
        if let Some(flag) = self.0.get(model) {
            flag.store(wanted, Ordering::Relaxed);
        }
    }

    fn wanted(&self, model: usize) -> bool {
        self.0.get(model).is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// What is kept of the rows of an answer until labels come.
#[derive(Debug, Clone)]
pub struct Keeps {
    /// The names of versions, by their places in the configuration.
    pub versions: Vec<String>,
    /// The output that labels tell the truth of.
    pub output: String,
    /// The metrics that look at labels, and need more of a row.
    pub metrics: CustomMetrics,
}

impl Keeps {
    /// What is kept of an answer.
    fn of(
        &self,
        (request_id, version): (&str, &str),
        asked: Option<&Columns>,
        answered: &Columns,
    ) -> Option<Answered> {
        let good = !request_id.is_empty() && request_id.len() <= MAX_ID_BYTES && answered.rows > 0;
        let version = self.versions.iter().position(|known| known == version).filter(|_| good)?;
        let output = answered.columns.iter().find(|column| column.name == self.output);
        let mut rows = output.map_or_else(Vec::new, |output| output.cells.clone());
        rows.resize(answered.rows, Cell::Null);
        let beside = self.metrics.beside(asked, answered);
        Some(Answered { request_id: request_id.into(), version, rows, beside })
    }

    /// What it costs to keep so many rows, in cells.
    fn cost(&self, rows: usize) -> usize {
        rows.saturating_mul(2 + self.metrics.kept_columns())
    }
}

/// The service.
#[derive(Debug)]
pub struct Door {
    models: HashMap<String, (usize, Reads)>,
    mind: mpsc::Sender<Batch>,
    lost: Arc<LostAtDoor>,
    pairing: Arc<Pairing>,
    store: Option<store::Door>,
    metrics: Metrics,
}

impl Door {
    /// A door for these models, in the configuration's order, before the mind. Of their samples
    /// only what is wanted is read.
    pub fn new(
        models: impl IntoIterator<Item = Reads>,
        mind: mpsc::Sender<Batch>,
        lost: Arc<LostAtDoor>,
        pairing: Arc<Pairing>,
        metrics: Metrics,
    ) -> Self {
        let models = models.into_iter().enumerate();
        let models = models.map(|(at, reads)| (reads.model.clone(), (at, reads)));
        Self { models: models.collect(), mind, lost, pairing, store: None, metrics }
    }

    /// With a store that gets every sample, too.
    #[must_use]
    pub fn keeping(mut self, store: Option<store::Door>) -> Self {
        self.store = store;
        self
    }

    /// The share of their rates at which workers should sample: all of it while half of the queue is
    /// free, and less the fuller it is.
    fn pace(&self) -> f64 {
        let (free, room) = (self.mind.capacity() as f64, self.mind.max_capacity() as f64);
        (2.0 * free / room).clamp(LEAST_PACE, 1.0)
    }

    fn read(&self, request: &ShipRequest) -> Batch {
        let mut batch = Batch {
            worker: request.worker,
            deliveries: HashMap::new(),
            kept: Vec::new(),
            arrival: None,
        };
        let mut with: HashMap<(usize, &str), Counts> = HashMap::new();
        let mut cells = BATCH_CELLS;
        for sample in &request.samples {
            let Some((model, reads)) = self.models.get(&sample.model) else {
                self.metrics.lost(Loss::UnknownModel, 1);
                continue;
            };
            let model = *model;
            let delivery = batch.deliveries.entry(model).or_default();
            let (paired, kept) = (self.pairing.wanted(model), self.store.is_some());
            let served = sample.outcome() == Outcome::Served && !sample.shadow;
            // Each side is read at most once, whoever needs it.
            let inputs = (served || kept).then_some(&reads.inputs);
            let outputs = match () {
                () if kept || (paired && (served || sample.shadow)) => Some(&reads.all_outputs),
                () if served => reads.outputs.as_ref(),
                () => None,
            };
            let mut read = |payload: Option<&Payload>, side, wanted: Option<&Wanted>| {
                let table = rows(payload, side, wanted?, cells)?;
                cells = cells.saturating_sub(table.cost());
                Some(Arc::new(table))
            };
            let asked = read(sample.request.as_ref(), Side::Request, inputs);
            let answered = read(sample.response.as_ref(), Side::Response, outputs);
            if kept {
                let (about, asked, answered) = (about(sample), asked.clone(), answered.clone());
                batch.kept.push((model, Kept { about, asked, answered }));
            }
            if sample.shadow {
                if paired {
                    delivery.halves.extend(half(sample, reads, answered, None));
                }
                continue;
            }
            delivery.samples += 1;
            let with = with.entry((model, sample.version.as_str())).or_default();
            with.exchanges += 1;
            with.checked += u64::from(sample.outcome() != Outcome::Blocked);
            with.violating += u64::from(sample.violation_count > 0);
            if delivery.links.len() < MAX_LINKS {
                delivery.links.extend(trace_context(&sample.traceparent));
            }
            if paired && sample.outcome() == Outcome::Reset {
                delivery.halves.extend(half(sample, reads, None, None));
            }
            if served {
                if let (Some(keeps), Some(answered)) = (&reads.keeps, &answered)
                    && keeps.cost(answered.rows) <= cells
                {
                    cells -= keeps.cost(answered.rows);
                    let of = (sample.request_id.as_str(), sample.version.as_str());
                    delivery.answered.extend(keeps.of(of, asked.as_deref(), answered));
                }
                if paired {
                    let at = asked.is_some().then_some(delivery.rows.len());
                    delivery.halves.extend(half(sample, reads, answered.clone(), at));
                }
                if reads.measured {
                    delivery.exchanges.push([asked.clone(), answered.clone()]);
                }
                delivery.unreadable += u64::from(asked.is_none());
                if let Some(asked) = asked {
                    let id = &sample.request_id;
                    delivery.ids.push(id[..id.floor_char_boundary(MAX_ID_BYTES)].into());
                    delivery.rows.push(asked);
                }
                delivery.answers.extend(answered);
            }
        }
        for tally in &request.tallies {
            let Some(&(model, _)) = self.models.get(&tally.model) else { continue };
            let counts = Counts {
                exchanges: tally.exchanges,
                checked: tally.checked,
                violating: tally.violating,
                dropped: tally.dropped,
            };
            let with = with.remove(&(model, tally.version.as_str())).unwrap_or_default();
            let delivery = batch.deliveries.entry(model).or_default();
            delivery.counts.push((tally.version.clone(), counts, with));
            delivery.told.push(told(tally));
        }
        batch
    }
}

#[tonic::async_trait]
impl Intake for Door {
    #[tracing::instrument(
        name = "tidegate.intake.ship",
        skip_all,
        fields(samples = request.get_ref().samples.len(), node = %request.get_ref().node)
    )]
    async fn ship(&self, request: Request<ShipRequest>) -> Result<Response<ShipResponse>, Status> {
        let mut batch = self.read(request.get_ref());
        if let Some(store) = &self.store {
            store.offer(std::mem::take(&mut batch.kept));
        }
        let arrival = tracing::Span::current().context().span().span_context().clone();
        batch.arrival = Some(arrival).filter(SpanContext::is_valid);
        let samples: Vec<(usize, u64)> =
            batch.deliveries.iter().map(|(model, delivery)| (*model, delivery.samples)).collect();
        let total: u64 = samples.iter().map(|(_, samples)| samples).sum();
        let unreadable = batch.deliveries.values().map(|delivery| delivery.unreadable).sum();
        match self.mind.try_send(batch) {
            Ok(()) => {
                self.metrics.batch(total);
                self.metrics.lost(Loss::Unreadable, unreadable);
                let accepted = u32::try_from(total).unwrap_or(u32::MAX);
                Ok(Response::new(ShipResponse { accepted, pace: self.pace() }))
            }
            Err(_) => {
                for (model, samples) in samples {
                    self.lost.add(model, samples);
                }
                self.metrics.lost(Loss::Busy, total);
                Ok(Response::new(ShipResponse { accepted: 0, pace: self.pace() }))
            }
        }
    }
}

/// What the store tells of an exchange beside its rows.
fn about(sample: &Sample) -> About {
    let outcome = match sample.outcome() {
        Outcome::Unspecified => "",
        Outcome::Served => "served",
        Outcome::Refused => "refused",
        Outcome::Blocked => "blocked",
        Outcome::Reset => "reset",
        Outcome::Diverted => "diverted",
    };
    let reason = match sample.reason() {
        Reason::Unspecified => "",
        Reason::Rate => "rate",
        Reason::Violation => "violation",
        Reason::Error => "error",
        Reason::Slow => "slow",
        Reason::Output => "output",
    };
    let cut = |text: &str| -> Box<str> { text[..text.floor_char_boundary(MAX_ID_BYTES)].into() };
    About {
        request_id: cut(&sample.request_id),
        start_unix_micros: i64::try_from(sample.start_unix_nanos / 1000).unwrap_or(i64::MAX),
        version: cut(&sample.version),
        shadow: sample.shadow,
        status: sample.status,
        duration_seconds: Duration::from_nanos(sample.duration_nanos).as_secs_f64(),
        outcome,
        reason,
        sampling_rate: sample.sampling_rate,
        trace_id: cut(sample.traceparent.split('-').nth(1).unwrap_or_default()),
        violations: sample.violation_count,
    }
}

/// What a sample says of one version's answer; `None` where it does not belong to a pair: a rule
/// kept it, its version is not known, or its client went before there was an answer.
fn half(
    sample: &Sample,
    reads: &Reads,
    outputs: Option<Arc<Columns>>,
    asked: Option<usize>,
) -> Option<Answer> {
    let version = reads.versions.iter().position(|version| *version == sample.version)?;
    let gone = sample.status == 0 && !sample.shadow;
    let known = (1..=MAX_ID_BYTES).contains(&sample.request_id.len());
    (sample.by_rate && known && !gone).then(|| Answer {
        request_id: sample.request_id.as_str().into(),
        version,
        shadow: sample.shadow,
        failed: sample.status == 0 || sample.status >= 500,
        seconds: Duration::from_nanos(sample.duration_nanos).as_secs_f64(),
        outputs,
        asked,
    })
}

/// What a tally says of the contract's deeds.
fn told(tally: &Tally) -> Told {
    let deeds = Deeds {
        exchanges: tally.exchanges,
        checked: tally.checked,
        violating: tally.violating,
        refused: tally.refused,
        tagged: tally.tagged,
        diverted: tally.diverted,
        would_refuse: tally.would_refuse,
        response_violating: tally.response_violating,
    };
    let cut = |text: &str| text[..text.floor_char_boundary(MAX_NAME_BYTES)].to_owned();
    let broken = tally.breaches.iter().take(MAX_BREACHES).map(|breach| Broken {
        field: cut(&breach.field),
        kind: cut(&breach.kind),
        exchanges: breach.exchanges,
    });
    Told { version: tally.version.clone(), deeds, broken: broken.collect() }
}

/// The rows of one side of a sample; `None` when it was cut, is encoded, is written in no format
/// that is known, is not what its format says, or would cost more than these cells.
fn rows(payload: Option<&Payload>, side: Side, wanted: &Wanted, cells: usize) -> Option<Columns> {
    let payload = payload?;
    let plain = matches!(payload.content_encoding.as_str(), "" | "identity");
    if payload.cut || !plain {
        return None;
    }
    let format: Format = payload.format.parse().ok()?;
    columns::read(&payload.body, format, side, wanted, cells).ok()
}

/// The span that a W3C `traceparent` names. <https://www.w3.org/TR/trace-context/>
fn trace_context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (_version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::Arc;

    use tidegate_contract::columns::Wanted;
    use tidegate_proto::intake::v1::intake_client::IntakeClient;
    use tidegate_proto::intake::v1::intake_server::IntakeServer;
    use tidegate_proto::intake::v1::{Breach, Outcome, Payload, Sample, ShipRequest, Tally};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::transport::Endpoint;

    use super::{BATCH_CELLS, Delivery, Door, LostAtDoor, Pairing, Reads};
    use crate::metrics::Metrics;

    /// A door for a model of forty features `f0` to `f39`, whose pairs are wanted, too.
    fn door(mind: mpsc::Sender<super::Batch>) -> Door {
        let names: Vec<String> = (0..40).map(|name| format!("f{name}")).collect();
        let wanted = Wanted::new(names.iter().map(String::as_str));
        let lost = Arc::new(LostAtDoor::new(1));
        let model = "census".to_owned();
        let reads = Reads {
            model,
            inputs: wanted,
            outputs: None,
            keeps: None,
            measured: false,
            versions: vec!["v1".to_owned()],
            all_outputs: Wanted::default(),
        };
        let pairing = Arc::new(Pairing::new(1));
        pairing.want(0, true);
        Door::new([reads], mind, lost, pairing, Metrics::default())
    }

    fn sample(body: impl Into<Vec<u8>>) -> Sample {
        let body = body.into();
        let format = "json".to_owned();
        let payload = Payload { body_bytes: body.len() as u64, body, format, ..Payload::default() };
        Sample {
            model: "census".to_owned(),
            outcome: Outcome::Served.into(),
            request: Some(payload),
            ..Sample::default()
        }
    }

    #[test]
    fn both_sides_of_an_exchange_arrive_together_where_metrics_look_at_them() {
        let (mind, _batches) = mpsc::channel(1);
        let mut door = door(mind);
        let answer = Payload {
            body: br#"{"score":0.5}"#.to_vec(),
            format: "json".to_owned(),
            ..Payload::default()
        };
        let answered =
            |body: &str| Sample { response: Some(answer.clone()), ..sample(body.to_owned()) };
        let samples = vec![answered(r#"{"f0":1}"#), answered("["), sample(r#"{"f0":2}"#)];
        let request = ShipRequest { samples, ..ShipRequest::default() };
        for measured in [false, true] {
            for (_, reads) in door.models.values_mut() {
                reads.outputs = Some(Wanted::new(["score"]));
                reads.measured = measured;
            }
            let delivery = door.read(&request).deliveries.remove(&0).expect("the model is known");
            let sides =
                delivery.exchanges.iter().map(|sides| sides.each_ref().map(Option::is_some));
            let expected = [[true, true], [false, true], [true, false]];
            let expected = if measured { expected.to_vec() } else { Vec::new() };
            assert_eq!(sides.collect::<Vec<_>>(), expected);
            assert_eq!((delivery.rows.len(), delivery.answers.len()), (2, 2));
        }
    }

    /// What a batch of these bodies becomes.
    fn delivery(bodies: Vec<String>) -> Delivery {
        let (mind, _batches) = mpsc::channel(1);
        let samples = bodies.into_iter().map(sample).collect();
        let request = ShipRequest { samples, ..ShipRequest::default() };
        door(mind).read(&request).deliveries.remove(&0).expect("the model is known")
    }

    fn cost(delivery: &Delivery) -> usize {
        delivery.rows.iter().map(|rows| rows.cost()).sum()
    }

    /// A thousand records of one field each, whose names repeat after `names`.
    fn thousand(names: usize) -> String {
        let records: Vec<String> =
            (0..1000).map(|row| format!(r#"{{"f{}":1.25}}"#, row % names)).collect();
        format!("[{}]", records.join(","))
    }

    #[test]
    fn names_that_nobody_wants_cost_a_batch_no_more_than_the_forty_that_are() {
        let delivery = delivery(vec![thousand(1000)]);
        assert_eq!((delivery.rows.len(), delivery.unreadable), (1, 0));
        assert_eq!(delivery.rows[0].columns.len(), 40);
        assert_eq!(cost(&delivery), 1000 + 40 * 1004);
    }

    #[test]
    fn a_batch_holds_no_more_than_its_cells_and_counts_what_it_left_out() {
        let delivery = delivery(vec![thousand(40); 80]);
        let fit = BATCH_CELLS / (1000 + 40 * 1004);
        assert_eq!((delivery.samples, delivery.rows.len()), (80, fit));
        assert_eq!(delivery.unreadable, 80 - fit as u64);
        assert!(cost(&delivery) <= BATCH_CELLS);
    }

    #[test]
    fn what_does_not_fit_leaves_room_for_what_does() {
        let small = r#"{"f0":1,"f1":"x"}"#.to_owned();
        let mut bodies = vec![thousand(40); 80];
        bodies.push(small);
        let delivery = delivery(bodies);
        assert_eq!(delivery.rows.last().map(|table| table.rows), Some(1));
    }
    /// Batches of which nothing is as a filter of ours writes it.
    fn poisoned() -> Vec<ShipRequest> {
        let payload = |change: &dyn Fn(&mut Payload)| {
            let mut sample = sample(r#"{"f0":1}"#);
            sample.request.iter_mut().for_each(change);
            sample
        };
        let format = |format: &str| payload(&|payload| format.clone_into(&mut payload.format));
        let tensor = r#"{"inputs":[{"name":"f0","shape":[9223372036854775807,9223372036854775807],"datatype":"FP64","data":[1]}]}"#;
        let samples = vec![
            sample(vec![0xff; 1000]),
            sample("[".repeat(100_000)),
            sample(format!(r#"{{"f0":{}}}"#, "9".repeat(100_000))),
            sample(tensor),
            Sample { model: "\0".repeat(10_000), ..sample("{}") },
            Sample { request_id: "é".repeat(100_000), ..sample("{}") },
            Sample {
                traceparent: "00-ü-é-ß-00".to_owned(),
                version: "v9".to_owned(),
                ..sample("{}")
            },
            Sample { outcome: 99, reason: -7, status: u32::MAX, ..sample("{}") },
            Sample {
                start_unix_nanos: u64::MAX,
                duration_nanos: u64::MAX,
                sampling_rate: f64::NAN,
                violation_count: u64::MAX,
                by_rate: true,
                shadow: true,
                ..sample("{}")
            },
            format("cobol"),
            format("oip"),
            format("oip+grpc"),
            payload(&|payload| payload.cut = true),
            payload(&|payload| payload.content_encoding = "rot13".to_owned()),
            payload(&|payload| payload.body_bytes = u64::MAX),
            Sample { request: None, response: None, ..sample("{}") },
        ];
        let breach =
            Breach { field: "ß".repeat(10_000), kind: "ß".repeat(10_000), exchanges: u64::MAX };
        let tally = Tally {
            model: "census".to_owned(),
            version: "v1".to_owned(),
            exchanges: u64::MAX,
            checked: u64::MAX,
            violating: u64::MAX,
            dropped: u64::MAX,
            breaches: vec![breach; 4],
            ..Tally::default()
        };
        let of = |samples, tallies| ShipRequest { samples, tallies, ..ShipRequest::default() };
        let each = samples.iter().map(|sample| of(vec![sample.clone()], Vec::new()));
        let all = [of(samples.clone(), vec![tally.clone(); 10]), of(Vec::new(), vec![tally])];
        let large = of(vec![sample(vec![b'['; 5 << 20])], Vec::new());
        each.chain(all).chain([large]).collect()
    }

    #[tokio::test]
    async fn a_poisoned_batch_neither_stops_the_intake_nor_takes_another_with_it() {
        let (mind, mut batches) = mpsc::channel(4);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let service = IntakeServer::new(door(mind)).max_decoding_message_size(4 << 20);
        let server = tonic::transport::Server::builder().add_service(service);
        let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("it listens");
        let mut client = IntakeClient::new(channel).max_encoding_message_size(64 << 20);

        let (mut taken, mut refused) = (0, 0);
        for poisoned in poisoned() {
            // Beside it, somebody speaks something else.
            let mut stranger = TcpStream::connect(address).expect("it listens");
            let _ = stranger.write_all(&[0xff; 100]);
            match client.ship(poisoned).await {
                Ok(_) => {
                    batches.recv().await.expect("the intake goes on");
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
            let samples = vec![sample(vec![0xff; 100]), sample(r#"{"f0":1,"f1":"x"}"#)];
            let good = ShipRequest { samples, ..ShipRequest::default() };
            let answer = client.ship(good).await.expect("it is taken").into_inner();
            assert_eq!(answer.accepted, 2);
            let mut batch = batches.recv().await.expect("the intake goes on");
            let delivery = batch.deliveries.remove(&0).expect("the model is known");
            assert_eq!((delivery.rows.len(), delivery.unreadable), (1, 1));
            assert_eq!((delivery.rows[0].rows, delivery.rows[0].columns.len()), (1, 2));
        }
        assert_eq!((taken, refused), (18, 1), "only one that is too long is refused whole");
        server.abort();
    }
}
