//! The people that the models of our plays judge: training data, and requests about them. All of
//! it follows from a seed. It does not know who asks.

use serde_json::{Value, json};

/// One person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Years.
    pub age: i64,
    /// Money an hour.
    pub wage: f64,
    /// `F` or `M`.
    pub gender: &'static str,
    /// What kind of work.
    pub work: &'static str,
}

/// Where people come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// As in training.
    Training,
    /// Older by 25 years, and most of them out of work.
    Later,
}

/// `SplitMix64` (Steele, Lea, Flood 2014): a sequence that follows from its seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `below`, which it never reaches.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}

const WORK: [&str; 4] = ["Private", "Self-employed", "Government", "Unemployed"];

/// The next person of an era.
pub fn person(dice: &mut Dice, era: Era) -> Person {
    let later = era == Era::Later;
    let work = if later && dice.below(10) < 8 { 3 } else { dice.below(4) };
    Person {
        age: i64::try_from(20 + dice.below(40)).expect("small") + if later { 25 } else { 0 },
        wage: f64::from(u32::try_from(800 + dice.below(4000)).expect("small")) / 100.0,
        gender: if dice.below(2) == 0 { "F" } else { "M" },
        work: WORK[usize::try_from(work).expect("small")],
    }
}

/// So many people.
#[must_use]
pub fn people(seed: u64, count: usize, era: Era) -> Vec<Person> {
    let mut dice = Dice::of(seed);
    (0..count).map(|_| person(&mut dice, era)).collect()
}

/// Training data as CSV.
#[must_use]
pub fn csv(people: &[Person]) -> String {
    let mut text = "age,wage,gender,work\n".to_owned();
    for Person { age, wage, gender, work } in people {
        text.push_str(&format!("{age},{wage:.2},{gender},{work}\n"));
    }
    text
}

/// A contract for people, written by hand.
#[must_use]
pub fn contract() -> Value {
    json!({"inputs": [
        {"name": "age", "type": "integer", "min": 0, "max": 120},
        {"name": "wage", "type": "number", "min": 0, "max": 10000},
        {"name": "gender", "type": "text", "categories": ["F", "M"]},
        {"name": "work", "type": "text"},
    ]})
}

/// An Open Inference Protocol request about people, a tensor a column.
#[must_use]
pub fn oip(people: &[Person]) -> Value {
    let tensor = |name: &str, datatype: &str, data: Vec<Value>| json!({"name": name, "shape": [data.len(), 1], "datatype": datatype, "data": data});
    json!({"inputs": [
        tensor("age", "INT64", people.iter().map(|one| one.age.into()).collect()),
        tensor("wage", "FP64", people.iter().map(|one| one.wage.into()).collect()),
        tensor("gender", "BYTES", people.iter().map(|one| one.gender.into()).collect()),
        tensor("work", "BYTES", people.iter().map(|one| one.work.into()).collect()),
    ]})
}

/// A plain JSON request about people, an object a person.
#[must_use]
pub fn records(people: &[Person]) -> Value {
    let record = |one: &Person| json!({"age": one.age, "wage": one.wage, "gender": one.gender, "work": one.work});
    people.iter().map(record).collect()
}
