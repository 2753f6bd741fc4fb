//! The bodies that are sent, the contracts they fulfil, and what a model answers. Everything comes
//! from a seed. It does not know how a body travels.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Open Inference Protocol: one tensor of doubles, written with all their digits, as Python
    /// and JavaScript write them.
    Numeric,
    /// Plain JSON: an array of records of numbers, texts, dates, booleans and nulls.
    Mixed,
}

/// One body with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Size and kind, such as `64KiB-numeric`.
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The sizes that are measured, by name and in bytes.
const SIZES: [(&str, usize); 4] =
    [("256B", 256), ("4KiB", 4 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];
const COLUMNS: usize = 16;
const EDUCATION: [&str; 6] = [
    "Bachelors degree",
    "High school graduate",
    "Some college",
    "Masters degree",
    "Doctorate",
    "None",
];
const COUNTRY: [&str; 5] = ["United-States", "Mexico", "Germany", "Philippines", "Côte d'Ivoire"];

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Numeric, Self::Mixed];

    /// What stands in names and in paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Mixed => "mixed",
        }
    }

    /// Where requests go.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Numeric => "/v2/models/numeric/infer",
            Self::Mixed => "/mixed/predict",
        }
    }

    /// How the filter is told to read it.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Numeric => "oip",
            Self::Mixed => "json",
        }
    }

    /// A contract with every check that a contract knows for such bodies, or, where `ranges` is
    /// false, without those of a number's range.
    #[must_use]
    pub fn contract(self, ranges: bool) -> Value {
        let mut contract = match self {
            Self::Numeric => json!({
                "inputs": [{"name": "x", "type": "number", "datatype": "FP64",
                    "shape": [-1, COLUMNS], "min": -20.0, "max": 20.0}],
                "outputs": [{"name": "y", "type": "number", "datatype": "FP32",
                    "shape": [-1, 1], "min": 0.0, "max": 1.0}],
            }),
            Self::Mixed => json!({
                "inputs": [
                    {"name": "age", "type": "integer", "min": 0, "max": 120},
                    {"name": "wage_per_hour", "type": "number", "nullable": true,
                        "min": 0.0, "max": 10000.0},
                    {"name": "education", "type": "text", "categories": EDUCATION},
                    {"name": "country_of_birth", "type": "text", "categories": COUNTRY},
                    {"name": "employer", "type": "text"},
                    {"name": "since", "type": "text", "format": "date"},
                    {"name": "full_time", "type": "boolean"},
                ],
                "outputs": [{"name": "score", "type": "number", "min": 0.0, "max": 1.0}],
            }),
        };
        let fields = contract["inputs"].as_array_mut().into_iter().flatten();
        for field in fields.filter_map(Value::as_object_mut).filter(|_| !ranges) {
            field.remove("min");
            field.remove("max");
        }
        contract
    }

    /// What the model answers.
    #[must_use]
    pub fn answer(self) -> &'static str {
        match self {
            Self::Numeric => {
                r#"{"model_name":"numeric","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[4,1],"data":[0.2514,0.9921,0.0411,0.5003]}]}"#
            }
            Self::Mixed => {
                r#"[{"score":0.2514},{"score":0.9921},{"score":0.0411},{"score":0.5003}]"#
            }
        }
    }

    /// The shortest body of at least so many bytes.
    #[must_use]
    pub fn bytes(self, at_least: usize) -> Vec<u8> {
        let mut chance = Chance(1994);
        match self {
            Self::Numeric => tensor(at_least, &mut chance),
            Self::Mixed => records(at_least, &mut chance),
        }
    }
}

/// Every body that is measured.
#[must_use]
pub fn all() -> Vec<Body> {
    let of = |kind: Kind| {
        SIZES.map(|(size, at_least)| Body {
            name: format!("{size}-{}", kind.name()),
            kind,
            bytes: kind.bytes(at_least),
        })
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

fn tensor(at_least: usize, chance: &mut Chance) -> Vec<u8> {
    let mut data = String::new();
    let mut rows = 0;
    let mut whole = String::new();
    while whole.len() < at_least {
        for _ in 0..COLUMNS {
            let comma = if data.is_empty() { "" } else { "," };
            // As numpy's `tolist` gives a standardised feature.
            let _ = write!(data, "{comma}{}", (chance.share() - 0.5) * 6.0);
        }
        rows += 1;
        // The head alone grows by a digit now and then.
        if data.len() + 90 >= at_least {
            whole = format!(
                r#"{{"inputs":[{{"name":"x","shape":[{rows},{COLUMNS}],"datatype":"FP64","data":[{data}]}}]}}"#
            );
        }
    }
    whole.into_bytes()
}

fn records(at_least: usize, chance: &mut Chance) -> Vec<u8> {
    let mut whole = "[".to_owned();
    while whole.len() + 1 < at_least {
        let comma = if whole.len() == 1 { "" } else { "," };
        let wage = if chance.below(10) == 0 {
            "null".to_owned()
        } else {
            format!("{}.{:02}", chance.below(100), chance.below(100))
        };
        let _ = write!(
            whole,
            r#"{comma}{{"age":{},"wage_per_hour":{wage},"education":"{}","country_of_birth":"{}","employer":"Works no. {} \"North\"","since":"19{}-0{}-1{}","full_time":{}}}"#,
            chance.below(100),
            chance.of(&EDUCATION),
            chance.of(&COUNTRY),
            chance.below(1000),
            10 + chance.below(90),
            1 + chance.below(9),
            chance.below(10),
            chance.below(2) == 0,
        );
    }
    whole.push(']');
    whole.into_bytes()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tidegate_contract::check::Check;
    use tidegate_contract::contract::Contract;
    use tidegate_contract::format::{Format, Layout};
    use tidegate_contract::protocol::Side;
    use tidegate_contract::rules::Rules;

    fn check(kind: Kind, side: Side, bytes: &[u8]) {
        let contract = Contract::parse(&kind.contract(true).to_string()).expect("a good contract");
        let format = Format::plain(match kind {
            Kind::Numeric => Layout::Oip,
            Kind::Mixed => Layout::Record,
        });
        let mut check = Check::new(Some(Arc::new(Rules::of(&contract))), format, side);
        check.feed(bytes);
        let verdict = check.finish();
        assert!(verdict.rows > 0 && verdict.count == 0, "{verdict:?}");
    }

    #[test]
    fn every_body_and_answer_fulfils_its_contract() {
        for body in all() {
            check(body.kind, Side::Request, &body.bytes);
        }
        for kind in Kind::ALL {
            check(kind, Side::Response, kind.answer().as_bytes());
        }
    }

    #[test]
    fn a_body_is_as_long_as_its_name_says() {
        for (body, (_, size)) in all().iter().zip(SIZES.iter().cycle()) {
            let more = body.bytes.len() - size;
            assert!(more < 400, "{} has {} bytes", body.name, body.bytes.len());
        }
    }
}
