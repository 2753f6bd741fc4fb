//! Bodies to read, from a seed. It does not know how they are read.

use std::fmt::Write as _;

use tidegate_contract::contract::Contract;
use tidegate_contract::format::{Format, Layout};

/// A body, what its bytes are, and what is asked of it.
#[derive(Debug)]
pub struct Body {
    /// What the benchmark calls it.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How they are written.
    pub format: Format,
    /// What is asked of it.
    pub contract: Contract,
}

/// Bytes of a body, about.
const SIZE: usize = 256 << 10;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[-1, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// All bodies.
///
/// # Panics
/// Never: the contracts are good.
#[must_use]
pub fn all() -> Vec<Body> {
    let number = r#"{"inputs": [{"name": "x", "type": "number", "datatype": "FP64"}]}"#;
    let ranged = r#"{"inputs": [{"name": "x", "type": "number", "datatype": "FP64", "min": -99, "max": 99}]}"#;
    let whole = r#"{"inputs": [{"name": "x", "type": "integer", "datatype": "INT64"}]}"#;
    let decimal = |random: &mut Random| format!("{:.6}", random.unit() * 10.0);
    let full = |random: &mut Random| format!("{}", random.unit());
    let integer = |random: &mut Random| (random.next() % 1_000_000).to_string();
    vec![
        tensor("numeric", number, "FP64", usize::MAX, decimal),
        tensor("numeric, 17 digits", number, "FP64", usize::MAX, full),
        tensor("numeric, rows of 16", number, "FP64", 16, decimal),
        tensor("numeric, rows of 4", number, "FP64", 4, decimal),
        tensor("numeric, with a range", ranged, "FP64", usize::MAX, decimal),
        spaced(tensor("numeric, spaced", number, "FP64", usize::MAX, decimal)),
        spaced(tensor("numeric, rows of 16, spaced", number, "FP64", 16, decimal)),
        tensor("integers", whole, "INT64", usize::MAX, integer),
        records(),
        spaced(Body { name: "mixed records, spaced", ..records() }),
        rows_of_mlflow(),
        people(),
    ]
}

fn tensor(
    name: &'static str,
    contract: &str,
    datatype: &str,
    width: usize,
    value: impl Fn(&mut Random) -> String,
) -> Body {
    let mut random = Random(1);
    let (mut data, mut count) = (String::new(), 0);
    while data.len() < SIZE {
        let place = count % width;
        if count > 0 {
            data.push_str(if width != usize::MAX && place == 0 { "],[" } else { "," });
        }
        data.push_str(&value(&mut random));
        count += 1;
    }
    let rest = if width == usize::MAX { 0 } else { (width - count % width) % width };
    for _ in 0..rest {
        data.push_str(",0.5");
        count += 1;
    }
    let data = if width == usize::MAX { format!("[{data}]") } else { format!("[[{data}]]") };
    let json = format!(
        r#"{{"id":"1","inputs":[{{"name":"x","shape":[{count}],"datatype":"{datatype}","data":{data}}}]}}"#
    );
    Body {
        name,
        bytes: json.into_bytes(),
        format: Format::plain(Layout::Oip),
        contract: Contract::parse(contract).expect("a good contract"),
    }
}

/// As Python writes it, with a blank behind each comma and colon.
fn spaced(body: Body) -> Body {
    let written = body.bytes.iter().flat_map(|byte| match byte {
        b',' | b':' => vec![*byte, b' '],
        _ => vec![*byte],
    });
    Body { bytes: written.collect(), ..body }
}

/// Records of twenty fields: numbers, categories, texts and booleans.
fn records() -> Body {
    let mut random = Random(2);
    let mut json = String::from("[");
    let mut fields = String::new();
    for field in 0..20 {
        let separator = if field == 0 { "" } else { "," };
        let rest = match field % 5 {
            0 => r#""type": "integer", "min": 0, "max": 1000000"#,
            1 | 2 => r#""type": "number""#,
            3 => {
                r#""type": "text", "categories": ["Private", "Self-employed", "Never worked", "State"]"#
            }
            _ if field == 19 => r#""type": "boolean""#,
            _ => r#""type": "text""#,
        };
        let _ = write!(fields, r#"{separator}{{"name": "feature_{field}", {rest}}}"#);
    }
    while json.len() < SIZE {
        json.push_str(if json.len() == 1 { "{" } else { ",{" });
        for field in 0..20 {
            let separator = if field == 0 { "" } else { "," };
            let value = match field % 5 {
                0 => (random.next() % 1_000_000).to_string(),
                1 => format!("{:.3}", random.unit() * 100.0),
                2 => format!("{:.6}", random.unit()),
                3 => {
                    let known = ["Private", "Self-employed", "Never worked", "State"];
                    format!("\"{}\"", known[(random.next() % 4) as usize])
                }
                _ if field == 19 => random.next().is_multiple_of(2).to_string(),
                _ => format!("\"{:x} and some words\"", random.next() % 0xffff),
            };
            let _ = write!(json, r#"{separator}"feature_{field}":{value}"#);
        }
        json.push('}');
    }
    json.push(']');
    Body {
        name: "mixed records",
        bytes: json.into_bytes(),
        format: Format::plain(Layout::Record),
        contract: Contract::parse(&format!(r#"{{"inputs": [{fields}]}}"#))
            .expect("a good contract"),
    }
}

/// The same records as MLflow takes them.
fn rows_of_mlflow() -> Body {
    let records = records();
    let bytes = [br#"{"dataframe_records":"#, records.bytes.as_slice(), b"}"].concat();
    Body { name: "mixed records, MLflow", bytes, format: Format::plain(Layout::Mlflow), ..records }
}

/// Records with ranges, dates, nulls and texts with escapes.
fn people() -> Body {
    let contract = r#"{"inputs": [
        {"name": "age", "type": "integer", "min": 0, "max": 120},
        {"name": "wage_per_hour", "type": "number", "nullable": true, "min": 0, "max": 10000},
        {"name": "education", "type": "text", "categories": ["Masters", "HS-grad", "11th", "9th"]},
        {"name": "employer", "type": "text"},
        {"name": "since", "type": "text", "format": "date"},
        {"name": "full_time", "type": "boolean"}]}"#;
    let mut random = Random(3);
    let mut json = String::from("[");
    while json.len() < SIZE {
        let mut below = |bound: u64| random.next() % bound;
        let comma = if json.len() == 1 { "" } else { "," };
        let wage = match below(10) {
            0 => "null".to_owned(),
            _ => format!("{}.{:02}", below(100), below(100)),
        };
        let education = ["Masters", "HS-grad", "11th", "9th"][below(4) as usize];
        let _ = write!(
            json,
            r#"{comma}{{"age":{},"wage_per_hour":{wage},"education":"{education}","employer":"Works no. {} \"North\"","since":"19{}-0{}-1{}","full_time":{}}}"#,
            below(100),
            below(1000),
            10 + below(90),
            1 + below(9),
            below(10),
            below(2) == 0,
        );
    }
    json.push(']');
    Body {
        name: "people",
        bytes: json.into_bytes(),
        format: Format::plain(Layout::Record),
        contract: Contract::parse(contract).expect("a good contract"),
    }
}
