//! Clients that ask the model through Envoy at a steady rate, and what they were answered. They do
//! not know what is decided behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::props::{Input, Row};
use crate::stage::http::Client;

/// Threads that send, each with connections of its own.
const CLIENTS: u64 = 3;
/// Between two requests of one client: 24 requests a second in all, of 3 rows on average.
const PAUSE: Duration = Duration::from_millis(125);
/// Rows of one request are between 1 and this many.
const MOST_ROWS: u64 = 5;
/// Answers other than a prediction of which the body is kept.
const MOST_SURPRISES: usize = 5;
/// The draws of the clients begin here, so that every run asks the same.
const SEED: u64 = 1995;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// The people of 1995.
    Stable,
    /// Older ones in other work classes.
    Drifted,
}

/// What was asked and answered so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests sent.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without any answer.
    pub unanswered: u64,
    /// What the steady clients were answered instead of a prediction, the first few.
    pub surprises: Vec<Value>,
    /// Answers with a prediction, by the version that the model server names in them.
    pub versions: BTreeMap<String, u64>,
    /// The version of the newest predictions and how many came from it in a row.
    pub streak: (String, u64),
    /// When the population of now sent its first request.
    pub first_sent: Option<Instant>,
    /// When each version first answered since the population changed.
    pub first_answers: BTreeMap<String, Instant>,
}

impl Tally {
    /// Answers with a status in `range`.
    #[must_use]
    pub fn answered(&self, range: std::ops::Range<u16>) -> u64 {
        self.statuses.range(range).map(|(_, count)| count).sum()
    }

    /// Notes one answer.
    pub fn note(&mut self, status: u16, version: Option<&str>, now: Instant) {
        *self.statuses.entry(status).or_default() += 1;
        let Some(version) = version.filter(|_| status == 200) else { return };
        *self.versions.entry(version.to_owned()).or_default() += 1;
        self.first_answers.entry(version.to_owned()).or_insert(now);
        if self.streak.0 == version {
            self.streak.1 += 1;
        } else {
            self.streak = (version.to_owned(), 1);
        }
    }
}

struct Shared {
    tally: Tally,
    population: Population,
    stop: bool,
}

/// Running clients; they end when this is dropped.
pub struct Traffic {
    shared: Arc<Mutex<Shared>>,
    clients: Vec<JoinHandle<()>>,
}

/// What every client draws from.
pub struct People {
    /// The columns.
    pub inputs: Vec<Input>,
    /// The people of 1995.
    pub stable: Vec<Row>,
    /// The shifted ones.
    pub drifted: Vec<Row>,
}

impl Traffic {
    /// Begins to ask `url` with the stable population.
    #[must_use]
    pub fn begin(url: &str, people: People) -> Self {
        let shared =
            Shared { tally: Tally::default(), population: Population::Stable, stop: false };
        let shared = Arc::new(Mutex::new(shared));
        let people = Arc::new(people);
        let clients = (0..CLIENTS)
            .map(|number| {
                let (shared, people, url) = (shared.clone(), people.clone(), url.to_owned());
                thread::spawn(move || ask(&url, &people, &shared, number))
            })
            .collect();
        Self { shared, clients }
    }

    /// From now on others ask.
    pub fn become_population(&self, population: Population) {
        let mut shared = lock(&self.shared);
        shared.population = population;
        shared.tally.first_sent = None;
        shared.tally.first_answers.clear();
    }

    /// What was asked and answered so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        lock(&self.shared).tally.clone()
    }

    /// Counts a request that was sent beside the steady ones.
    pub fn count(&self, rows: u64, status: u16) {
        let mut shared = lock(&self.shared);
        shared.tally.requests += 1;
        shared.tally.rows += rows;
        shared.tally.note(status, None, Instant::now());
    }

    /// Waits for the last answers and gives the final tally.
    #[must_use]
    pub fn end(mut self) -> Tally {
        self.stop();
        self.tally()
    }

    fn stop(&mut self) {
        lock(&self.shared).stop = true;
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A request of the Open Inference Protocol: one tensor a column.
#[must_use]
pub fn request(inputs: &[Input], rows: &[&Row]) -> Value {
    let tensors: Vec<Value> = inputs
        .iter()
        .map(|Input { name, datatype }| {
            let data: Vec<&Value> =
                rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)).collect();
            json!({"name": name, "shape": [rows.len(), 1], "datatype": datatype, "data": data})
        })
        .collect();
    json!({"parameters": {"content_type": "pd"}, "inputs": tensors})
}

fn ask(url: &str, people: &People, shared: &Mutex<Shared>, number: u64) {
    let client = Client::new(Duration::from_secs(10));
    let mut draw = Draw(SEED + number);
    // The clients take turns instead of knocking together.
    let turn = u32::try_from(number).unwrap_or(0);
    let mut next = Instant::now() + PAUSE / u32::try_from(CLIENTS).unwrap_or(1) * turn;
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // A client that fell behind goes on from now: a burst would be another kind of traffic.
        next = (next + PAUSE).max(Instant::now());
        let count = 1 + draw.below(MOST_ROWS);
        let population = {
            let mut shared = lock(shared);
            if shared.stop {
                return;
            }
            shared.tally.requests += 1;
            shared.tally.rows += count;
            shared.tally.first_sent.get_or_insert_with(Instant::now);
            shared.population
        };
        let from = match population {
            Population::Stable => &people.stable,
            Population::Drifted => &people.drifted,
        };
        let rows: Vec<&Row> = (0..count)
            .filter_map(|_| from.get(usize::try_from(draw.below(from.len() as u64)).unwrap_or(0)))
            .collect();
        let body = request(&people.inputs, &rows).to_string();
        let answer = client.post(url, body.as_bytes());
        let now = Instant::now();
        let tally = &mut lock(shared).tally;
        match answer {
            Ok(answer) => {
                let told = answer.json();
                if answer.status != 200 && tally.surprises.len() < MOST_SURPRISES {
                    let got = if told.is_null() { answer.text().into() } else { told.clone() };
                    tally.surprises.push(json!({"status": answer.status, "answer": got}));
                }
                tally.note(answer.status, told.get("model_version").and_then(Value::as_str), now);
            }
            Err(error) => {
                tally.unanswered += 1;
                if tally.surprises.len() < MOST_SURPRISES {
                    tally.surprises.push(json!({"unanswered": error.to_string()}));
                }
            }
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// splitmix64 (Steele, Lea and Flood, 2014): seeded, and good enough to pick people.
struct Draw(u64);

impl Draw {
    /// A number below `bound`, or 0 when that is 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(age: u64, sex: &str) -> Row {
        json!({"age": age, "sex": sex}).as_object().expect("an object").clone()
    }

    fn inputs() -> Vec<Input> {
        [("age", "INT64"), ("sex", "BYTES")]
            .map(|(name, datatype)| Input { name: name.into(), datatype: datatype.into() })
            .into()
    }

    #[test]
    fn a_request_has_one_tensor_a_column() {
        let (ada, bob) = (row(36, "Female"), row(61, "Male"));
        let told = request(&inputs(), &[&ada, &bob]);
        assert_eq!(told["inputs"][0]["data"], json!([36, 61]));
        assert_eq!(told["inputs"][1]["shape"], json!([2, 1]));
        assert_eq!(told["inputs"][1]["datatype"], "BYTES");
    }

    #[test]
    fn only_predictions_name_a_version_and_a_streak_ends_with_another() {
        let mut tally = Tally::default();
        let now = Instant::now();
        for (status, version) in [(200, "v1"), (200, "v1"), (503, "v2"), (200, "v2")] {
            tally.note(status, Some(version), now);
        }
        assert_eq!(tally.streak, ("v2".to_owned(), 1));
        assert_eq!(tally.versions.get("v2"), Some(&1));
        assert_eq!(tally.answered(500..600), 1);
    }

    #[test]
    fn draws_repeat_with_their_seed_and_stay_below_the_bound() {
        let drawn = |seed| -> Vec<u64> {
            let mut draw = Draw(seed);
            (0..1000).map(|_| draw.below(5)).collect()
        };
        assert_eq!(drawn(7), drawn(7));
        assert!((0..5).all(|face| drawn(7).contains(&face)));
        assert!(drawn(7).iter().all(|face| *face < 5));
    }
}
