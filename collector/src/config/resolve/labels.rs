//! Labels: what they are held against, and how long an answer waits for them. It does not know
//! whether the model has such an output.

use std::time::Duration;

use super::range::{lasting, within};
use crate::config::mistake::{Mistakes, Problem};
use crate::config::model::{Labels, Task, TaskName};
use crate::config::raw;
use crate::config::reader::Field;

const POSITIVE: &str = "1";
const THRESHOLD: f64 = 0.5;
const MOST_SCORE: f64 = 1e9;
const HORIZON: Duration = Duration::from_hours(24);
const HORIZONS: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(90 * 24)];
const MAX_ROWS: usize = 100_000;
const MOST_ROWS: usize = 10_000_000;
const WINDOW_ROWS: usize = 2_000;
/// Measuring sorts the window at each hop.
const WINDOWS: [usize; 2] = [100, 100_000];

pub(super) fn one(raw: raw::Labels, mistakes: &mut Mistakes) -> Option<Labels> {
    let output = raw.output.required("output", "score", &raw.place, mistakes);
    let task = raw.task.or(TaskName::Binary);
    let error = within(raw.reference_error, 0.0, 1.0, mistakes);
    let horizon = lasting(raw.horizon, HORIZONS[0], HORIZONS[1], mistakes);
    let max_rows = within(raw.max_rows, WINDOWS[0], MOST_ROWS, mistakes).or(MAX_ROWS);
    let most = max_rows.unwrap_or(MAX_ROWS).min(WINDOWS[1]);
    let window = within(raw.window_rows, WINDOWS[0], most, mistakes);
    let threshold = within(raw.threshold, -MOST_SCORE, MOST_SCORE, mistakes);
    let name = task?;
    let of_binary = name == TaskName::Binary;
    let fits = [
        of_binary || !needless(&raw.positive, name, mistakes),
        of_binary || !needless(&threshold, name, mistakes),
        name != TaskName::Regression || !needless(&error, name, mistakes),
    ];
    if fits.contains(&false) {
        return None;
    }
    let task = match name {
        TaskName::Multiclass => Task::Multiclass,
        TaskName::Regression => Task::Regression,
        TaskName::Binary => Task::Binary {
            positive: raw.positive.or(POSITIVE.to_owned())?,
            threshold: threshold.or(THRESHOLD)?,
        },
    };
    Some(Labels {
        output: output?.value,
        task,
        reference_error: error.map(Some).or(None)?,
        horizon: horizon.or(HORIZON)?,
        max_rows: max_rows?,
        window_rows: window.or(WINDOW_ROWS.min(most))?,
    })
}

/// Whether a key is given that means nothing for this task; then that is noted.
fn needless<T>(field: &Field<T>, task: TaskName, mistakes: &mut Mistakes) -> bool {
    let Some(written) = field.given() else { return false };
    let problem = Problem::NeedlessForTask { task: raw::task_word(task) };
    mistakes.add(written.place.clone(), problem);
    true
}
