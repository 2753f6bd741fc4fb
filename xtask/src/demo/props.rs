//! What the demo plays with: the tools, two trained versions, the profile, the people of 1995.
//! All of it is kept for later runs. It does not know how they are used.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Error;
use crate::terminal::Terminal;
use crate::tools::{Tools, envoy, mlserver};

/// Read to know whether what was trained is still what the script would train.
const TRAINING: &str = include_str!("../../demo/train.py");

/// One column of the model, as the Open Inference Protocol calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The column.
    pub name: String,
    /// `INT64` or `BYTES`.
    pub datatype: String,
}

/// One person: a value for each input, by name.
pub type Row = serde_json::Map<String, Value>;

/// Everything that is there before the first process starts.
#[derive(Debug)]
pub struct Props {
    /// Envoy's binary.
    pub envoy: PathBuf,
    /// The filter's module.
    pub filter: PathBuf,
    /// The text of `envoy/bootstrap.yaml`.
    pub bootstrap: String,
    /// The `tidegate` command.
    pub tidegate: PathBuf,
    /// The Python that has MLServer.
    pub mlserver: PathBuf,
    /// The folder of the models, one folder a version.
    pub models: PathBuf,
    /// The profile of the training data.
    pub profile: PathBuf,
    /// The columns in the order of training.
    pub inputs: Vec<Input>,
    /// People of 1995 as they are.
    pub stable: Vec<Row>,
    /// Of those, people from 55 on in other work classes.
    pub drifted: Vec<Row>,
    /// What the training measured.
    pub training: Value,
}

impl Props {
    /// Fetches, builds, trains and profiles what is not there yet.
    ///
    /// # Errors
    /// Any of it fails.
    pub fn prepare(tools: &Tools) -> Result<Self, Error> {
        let envoy = tools.envoy()?;
        let mlserver = tools.mlserver()?;
        let census = tools.census()?;
        let filter = tools.filter()?;
        let tidegate = tools.tidegate()?;

        let trained = format!("census-models-{:016x}", fingerprint(&[TRAINING.as_bytes()]));
        let folder = tools.on_shelf(
            "Training two versions on Census-Income of 1994",
            &trained,
            "training.json",
            |folder, work| {
                let mut train = Command::new(&mlserver);
                train.arg(tools.root().join("xtask/demo/train.py")).arg(&census).arg(folder);
                work.run(train)
            },
        )?;

        let program = std::fs::read(&tidegate)
            .map_err(|source| Error::File { path: tidegate.clone(), source })?;
        let known = fingerprint(&[TRAINING.as_bytes(), &program]);
        let profiled = tools.on_shelf(
            "Profile of the training data",
            &format!("census-profile-{known:016x}"),
            "profile/contract.json",
            |partial, work| {
                let mut profile = Command::new(&tidegate);
                profile.arg("profile").arg(folder.join("train.csv")).arg("--out");
                profile.arg(partial.join("profile")).env("NO_COLOR", "1");
                work.run(profile)
            },
        )?;

        let training_path = folder.join("training.json");
        let training = json(&training_path, &read(&training_path)?)?;
        let inputs = inputs(&training).ok_or_else(|| Error::Malformed {
            path: training_path,
            reason: "it declares no inputs".to_owned(),
        })?;
        Ok(Self {
            envoy,
            filter,
            bootstrap: tools.bootstrap()?,
            tidegate,
            mlserver,
            models: folder.join("models"),
            profile: profiled.join("profile"),
            inputs,
            stable: rows(&folder.join("stable.jsonl"))?,
            drifted: rows(&folder.join("drifted.jsonl"))?,
            training,
        })
    }

    /// Says what there is.
    pub fn introduce(&self, terminal: Terminal) {
        let number = |path: &str| self.training.pointer(path).and_then(Value::as_f64);
        let percent = |path: &str| {
            number(path).map_or_else(|| "?".to_owned(), |part| format!("{:.1} %", part * 100.0))
        };
        terminal.say(&format!(
            "Envoy {}, MLServer {}, two versions",
            envoy::VERSION,
            mlserver::VERSION
        ));
        for version in ["v1", "v2"] {
            terminal.say(&format!(
                "{version}: right in {} of the people of 1995, in {} of those from 55 on in other work",
                percent(&format!("/versions/{version}/stable/accuracy")),
                percent(&format!("/versions/{version}/drifted/accuracy")),
            ));
        }
        terminal.say(&format!("profile for people: {}", self.profile.join("SUMMARY.md").display()));
    }
}

fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    envoy::VERSION.hash(&mut hasher);
    mlserver::VERSION.hash(&mut hasher);
    parts.hash(&mut hasher);
    hasher.finish()
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn json(path: &Path, text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
}

/// One person a line.
fn rows(path: &Path) -> Result<Vec<Row>, Error> {
    let malformed =
        |reason: &str| Error::Malformed { path: path.to_owned(), reason: reason.to_owned() };
    let row = |line: &str| match json(path, line)? {
        Value::Object(row) => Ok(row),
        _ => Err(malformed("a line is no object")),
    };
    let rows: Vec<Row> = read(path)?.lines().map(row).collect::<Result<_, _>>()?;
    if rows.is_empty() { Err(malformed("it is empty")) } else { Ok(rows) }
}

fn inputs(training: &Value) -> Option<Vec<Input>> {
    let declared = training.get("inputs")?.as_array()?;
    let text = |input: &Value, key: &str| Some(input.get(key)?.as_str()?.to_owned());
    declared
        .iter()
        .map(|input| Some(Input { name: text(input, "name")?, datatype: text(input, "datatype")? }))
        .collect()
}
