//! What a collector's core takes in: batches from the wire, decoded, read into rows, counted into panes,
//! bet on, judged together, and tested when a pane closes. The gRPC server around it is no part of it.

use prost::Message;
use tidegate_collector::config::Config;
use tidegate_collector::sides::Sides;
use tidegate_collector::watch::{Counts, Watch};
use tidegate_contract::columns::{self, Wanted};
use tidegate_contract::contract::Contract;
use tidegate_contract::format::Format;
use tidegate_contract::protocol::Side;
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::reference::Reference;
use tidegate_proto::intake::v1::{Payload, Sample, ShipRequest};

use crate::report::{Figure, Report};
use crate::speed::forest::normal;
use crate::training;
use crate::{clock, resident};

const COLUMNS: usize = 20;
const TRAINING: usize = 50_000;
/// Rows of a request, requests of a batch, batches of a pane, panes that are timed: no batch comes twice in
/// them.
const ROWS: usize = 50;
const REQUESTS: usize = 20;
const BATCHES: usize = 5;
const PANES: usize = 6;
/// Cells that a body may have.
const CELLS: usize = 1_000_000;

type Row = [f64; COLUMNS];

fn row(random: &mut Random) -> Row {
    let common = normal(random);
    // Four digits after the point, as people write numbers.
    std::array::from_fn(|_| ((0.6 * common + 0.8 * normal(random)) * 1e4).round() / 1e4)
}

fn name(at: usize) -> String {
    format!("x{at}")
}

/// A batch as it comes over the wire.
fn batch(random: &mut Random) -> Vec<u8> {
    let body = |random: &mut Random| {
        let rows: Vec<Row> = (0..ROWS).map(|_| row(random)).collect();
        let input = |at: usize| {
            let data: Vec<String> = rows.iter().map(|row| row[at].to_string()).collect();
            let (name, data) = (name(at), data.join(","));
            format!(r#"{{"name":"{name}","shape":[{ROWS},1],"datatype":"FP64","data":[{data}]}}"#)
        };
        let inputs: Vec<String> = (0..COLUMNS).map(input).collect();
        format!(r#"{{"inputs":[{}]}}"#, inputs.join(","))
    };
    let samples = (0..REQUESTS).map(|_| {
        let body = body(random).into_bytes();
        let format = "oip".to_owned();
        let request = Payload { body_bytes: body.len() as u64, body, format, ..Payload::default() };
        Sample { model: "census".to_owned(), request: Some(request), ..Sample::default() }
    });
    ShipRequest { samples: samples.collect(), ..ShipRequest::default() }.encode_to_vec()
}

const CONFIG: &str = "
listen: {grpc: 127.0.0.1:7070, http: 127.0.0.1:7071}
state: ./state
envoy: {filter: /filter.wasm, collector_cluster: tidegate_collector}
models:
  - name: census
    protocol: oip
    route: {path_prefix: /v2/models/census}
    profile: ./profile
    versions: [{name: v1, cluster: census-v1, role: primary}]
    window: {length: 10s, hop: 2s, min_rows: 100}
";

/// Models whose memory is measured together, and hops of an hour.
const MODELS: usize = 20;
const HOPS_OF_AN_HOUR: u64 = 1_800;

type Failure = Box<dyn std::error::Error>;

/// What all models are watched by.
struct Set {
    config: Config,
    contract: Contract,
    sides: Sides,
    wanted: Wanted,
    format: Format,
    batches: Vec<Vec<u8>>,
}

impl Set {
    fn new() -> Result<Self, Failure> {
        let mut random = Random::seeded(12);
        let reference = training::learned((0..TRAINING).map(|_| row(&mut random)));
        let sides = Sides::of(&reference, &Reference::of(0, Vec::new()));
        let folder = std::path::Path::new("/");
        let config = Config::parse(CONFIG.as_bytes(), &folder.join("tidegate.yaml"), folder)?;
        let number = |at: usize| serde_json::json!({"name": name(at), "type": "number"});
        let fields: Vec<_> = (0..COLUMNS).map(number).collect();
        let contract = serde_json::json!({ "inputs": fields }).to_string();
        let contract = Contract::parse(&contract).map_err(|mistakes| format!("{mistakes:?}"))?;
        let wanted = Wanted::new(sides.names(Side::Request)).in_fields(&contract.inputs);
        let format = "oip".parse().map_err(|_| "the format oip")?;
        let batches = (0..PANES * BATCHES).map(|_| batch(&mut random)).collect();
        Ok(Self { config, contract, sides, wanted, format, batches })
    }

    fn watch(&self) -> Watch {
        Watch::new(&self.config.models[0], &self.contract, self.sides.clone(), None)
    }

    /// Gives a watch so many batches, those of this pane, and closes its window at `now`.
    fn hop(
        &self,
        watch: &mut Watch,
        pane: usize,
        batches: usize,
        now: u64,
    ) -> Result<Verdict, Failure> {
        watch.at(now);
        for batch in &self.batches[pane % PANES * BATCHES..][..batches] {
            let batch = ShipRequest::decode(batch.as_slice())?;
            let mut tables = Vec::with_capacity(batch.samples.len());
            for sample in &batch.samples {
                let body = &sample.request.as_ref().ok_or("a request")?.body;
                let rows = columns::read(body, self.format, Side::Request, &self.wanted, CELLS)
                    .map_err(|why| format!("{why:?}"))?;
                assert_eq!((rows.rows, rows.columns.len()), (ROWS, COLUMNS));
                tables.push(rows);
            }
            watch.rows(Side::Request, &tables);
            watch.arrived(REQUESTS as u64, 0);
            let exchanges = REQUESTS as u64;
            let counts = Counts { exchanges, checked: exchanges, ..Counts::default() };
            watch.counts(now, "v1", Counts::default(), counts);
        }
        Ok(watch.close(now).verdict)
    }
}

/// Prints rows a CPU second, and the memory of a model.
///
/// # Errors
/// When the configuration, a batch or a body is not what the collector reads.
pub fn print(report: &Report) -> Result<(), Failure> {
    let set = Set::new()?;
    speed(report, &set)?;
    memory(report, &set)
}

fn speed(report: &Report, set: &Set) -> Result<(), Failure> {
    let mut watch = set.watch();
    let (mut now, mut worst) = (0, Verdict::Healthy);
    let mut read = || -> Result<(), Failure> {
        for pane in 0..PANES {
            now += 2_000;
            worst = worst.max(set.hop(&mut watch, pane, BATCHES, now)?);
        }
        Ok(())
    };
    let mut failed = None;
    let seconds = clock::least(3, || failed = read().err());
    if let Some(error) = failed {
        return Err(error);
    }
    if worst == Verdict::Alarm {
        return Err("traffic like that of training raised an alarm".into());
    }
    let figure = Figure {
        name: "intake: rows of 20 columns a CPU second, from the wire to the tests",
        value: (PANES * BATCHES * REQUESTS * ROWS) as f64 / seconds,
        unit: "rows/s",
        goal: 150e3,
        lower_is_better: false,
    };
    report.figure("loop", &figure);
    Ok(())
}

/// What a model adds to the process with a full window of 25,000 rows of 20 columns, and what an hour of
/// traffic adds to that once another has gone by, by the clock that the watch is told: 1.8 million rows
/// each. In the first hour what is bounded fills up.
fn memory(report: &Report, set: &Set) -> Result<(), Failure> {
    let before = resident::bytes()?;
    let mut watches: Vec<Watch> = (0..MODELS).map(|_| set.watch()).collect();
    let hops = 5_u64;
    for watch in &mut watches {
        for hop in 1..=hops {
            set.hop(watch, hop as usize, BATCHES, hop * 2_000)?;
        }
    }
    let full = resident::bytes()?;
    let watch = watches.first_mut().ok_or("a watch")?;
    let mut hour = |number: u64| -> Result<usize, Failure> {
        for hop in 0..HOPS_OF_AN_HOUR {
            let at = hops + 1 + number * HOPS_OF_AN_HOUR + hop;
            set.hop(watch, hop as usize, 1, at * 2_000)?;
        }
        Ok(resident::bytes()?)
    };
    let first = hour(0)?;
    let later = hour(1)?;
    let figures = [
        (
            "memory of a model of 20 columns, window full",
            full.saturating_sub(before) / MODELS,
            20.0,
        ),
        ("memory that an hour of traffic adds to it", first.saturating_sub(full), 5.0),
        ("memory that the next hour adds", later.saturating_sub(first), 1.0),
    ];
    for (name, bytes, goal) in figures {
        let value = bytes as f64 / 1e6;
        report.figure("loop", &Figure { name, value, unit: "MB", goal, lower_is_better: true });
    }
    Ok(())
}
