//! The report of a check: what people and programs read. It does not know how it is shown.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_detectors::cause::Cause;
use tidegate_detectors::finding::{Detector, Finding, Verdict};
use tidegate_detectors::judge::{Rules, judge};
use tidegate_detectors::qq;
use tidegate_detectors::reference::Values;
use tidegate_detectors::season::Hours;

use crate::causes;
use crate::check::CheckArgs;
use crate::check::data::Gathered;
use crate::check::plot;
use crate::check::strange::Strange;
use crate::judgement::Judgement;
use crate::profile::Profile;

/// What `tidegate check --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// Always `tidegate-check`.
    pub format: &'static str,
    /// Raised when a key changes its meaning or goes.
    pub format_version: u32,
    /// The worst of the findings.
    pub verdict: Verdict,
    /// What the data was held against.
    pub profile: ProfileSide,
    /// What was held against it.
    pub data: DataSide,
    /// The chance of any false alarm when nothing changed.
    pub alpha: f64,
    /// The chance of any false warning.
    pub warning_alpha: f64,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Which of them share a cause, by their places from 0; the worst cause first.
    pub causes: Vec<Cause>,
    /// The rows that stand out most, of the drawn ones.
    pub strangest: Vec<Strange>,
    /// Of each number, its quantiles in the data against those in training.
    pub quantiles: BTreeMap<String, Vec<qq::Point>>,
}

/// The profile's side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ProfileSide {
    /// Its folder.
    pub path: String,
    /// The model, where it was named.
    pub model: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// Rows of the training data; those of the same hours, where it has references by the hour.
    pub rows: u64,
    /// At how many hours of the period these were, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<usize>,
}

/// The data's side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct DataSide {
    /// The files, in the order they were read.
    pub files: Vec<String>,
    /// Rows of all files.
    pub rows: u64,
    /// Rows that were drawn of them, to look at what features do together.
    pub drawn: usize,
    /// Columns of the profile that the data does not have.
    pub missing_columns: Vec<String>,
    /// Columns of the data that the profile does not have.
    pub ignored_columns: Vec<String>,
}

impl Report {
    /// Judges what was gathered.
    pub fn of(args: &CheckArgs, profile: &Profile, gathered: &Gathered, rules: &Rules) -> Self {
        let mut findings = judge(&gathered.reference, &gathered.window, rules);
        // Data has no exchanges, and of a column that is not there only that can be said.
        let absent = |finding: &Finding| {
            let name = finding.feature.as_ref();
            name.is_some_and(|name| gathered.missing.contains(name))
                && finding.detector != Detector::NullRate
        };
        findings.retain(|finding| finding.detector != Detector::ViolationRate && !absent(finding));
        gathered.sides.tell_apart(&mut findings, &gathered.window);
        let rows = gathered.window.rows;
        let model = profile.document.model.clone().unwrap_or_default();
        let (exchanges, reference) = (gathered.window.exchanges, &gathered.reference);
        let judged = Judgement::of(&model, 0, rows, exchanges, findings, reference);
        Self {
            format: "tidegate-check",
            format_version: 1,
            verdict: judged.verdict,
            profile: ProfileSide {
                path: args.profile.display().to_string(),
                model: profile.document.model.clone(),
                created: profile.document.created.clone(),
                rows: gathered.reference.rows,
                hours: gathered.hours.as_ref().map(Hours::count),
            },
            data: DataSide {
                files: gathered.files.iter().map(|file| file.display().to_string()).collect(),
                rows,
                drawn: gathered.drawn,
                missing_columns: gathered.missing.clone(),
                ignored_columns: gathered.ignored.clone(),
            },
            alpha: rules.alpha,
            warning_alpha: rules.warning_alpha,
            findings: judged.findings,
            causes: judged.causes,
            strangest: gathered.strangest.clone(),
            quantiles: quantiles(gathered),
        }
    }

    /// How many findings came to this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Whether more rows stand out than did in training.
    pub fn has_outliers(&self) -> bool {
        let of = |finding: &Finding| {
            matches!(finding.detector, Detector::OutlierRate | Detector::Copula)
        };
        self.findings.iter().any(|finding| of(finding) && finding.verdict >= Verdict::Warning)
    }

    /// The causes of the findings in words, one a line; data has no time that they could last since.
    pub fn told(&self) -> Vec<String> {
        causes::lines(&self.causes, &self.findings, |_| String::new())
    }

    /// The data's name for a headline.
    pub fn data_name(&self) -> String {
        match self.data.files.as_slice() {
            [one] => one.clone(),
            many => format!("{} files", many.len()),
        }
    }
}

/// Quantiles against quantiles of each number that both sides have, where 95 % of windows without a change are
/// within the band.
fn quantiles(gathered: &Gathered) -> BTreeMap<String, Vec<qq::Point>> {
    const POINTS: u32 = 21;
    let sides = gathered.reference.features.iter().zip(&gathered.window.features);
    let drawn = sides.filter_map(|(was, now)| match (&was.values, &now.values) {
        (Values::Number(before), Values::Number(after)) => {
            let points = qq::points(before.sketch(), after.sketch(), POINTS, plot::OUTSIDE);
            (!points.is_empty()).then(|| (was.name.clone(), points))
        }
        _ => None,
    });
    drawn.collect()
}
