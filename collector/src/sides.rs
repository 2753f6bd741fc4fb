//! Both sides of a model in one reference: its inputs, then its outputs. It does not know where
//! their values come from.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_contract::protocol::Side;
use tidegate_detectors::finding::{Finding, Kind};
use tidegate_detectors::judge::TOGETHER;
use tidegate_detectors::reference::Reference;
use tidegate_detectors::season::Seasons;
use tidegate_detectors::window::Window;

/// Inputs and outputs as they were in training.
#[derive(Debug, Clone)]
pub struct Sides {
    reference: Arc<Reference>,
    /// The same by the hour, where training says.
    seasons: Option<Arc<Seasons>>,
    inputs: usize,
    /// The outputs' names in answers; an output that is called like an input has another in findings.
    outputs: Vec<String>,
    positions: [HashMap<String, usize>; 2],
}

impl Sides {
    /// Of what a profile has. An output with the name of an input is called `NAME (output)`.
    #[must_use]
    pub fn of(inputs: &Reference, outputs: &Reference) -> Self {
        let mut reference = inputs.clone();
        let names = outputs.features.iter().map(|feature| feature.name.clone()).collect();
        for output in &outputs.features {
            let mut output = output.clone();
            if inputs.position(&output.name).is_some() {
                output.name.push_str(" (output)");
            }
            reference.features.push(output);
        }
        let count = inputs.features.len();
        reference.joints.extend(outputs.joints.iter().map(|joint| joint.clone().behind(count)));
        let positions = |features: &Reference, from: usize| {
            let names = features.features.iter().map(|feature| feature.name.clone());
            names.zip(from..).collect()
        };
        Self {
            positions: [positions(inputs, 0), positions(outputs, count)],
            reference: Arc::new(reference),
            seasons: None,
            inputs: count,
            outputs: names,
        }
    }

    /// With what the same features were by the hour. What they did together is not known by the hour,
    /// so it is not known at all.
    #[must_use]
    pub fn by_hour(mut self, seasons: Option<Seasons>) -> Self {
        if seasons.is_some() {
            Arc::make_mut(&mut self.reference).joints.clear();
        }
        self.seasons = seasons.map(Arc::new);
        self
    }

    /// With so many pairs at most of which it is known how they move together.
    #[must_use]
    pub fn with_pairs(mut self, most: usize) -> Self {
        let joints = &mut Arc::make_mut(&mut self.reference).joints;
        let most = most / joints.len().max(1);
        joints.iter_mut().for_each(|joint| *joint = joint.within(most));
        self
    }

    /// How many independent tests those of a window are worth, where those of its inputs alone are worth so
    /// many: outputs were not among the features that were measured.
    #[must_use]
    pub fn effective_tests(&self, of_inputs: Option<f64>) -> Option<f64> {
        let joints = self.reference.joints.iter().filter(|joint| joint.is_of_outputs()).count();
        let more = self.range(Side::Response).len() + TOGETHER * joints;
        of_inputs.map(|tests| tests + more as f64)
    }

    /// All features, inputs first.
    #[must_use]
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// The same by the hour, where training says.
    #[must_use]
    pub fn seasons(&self) -> Option<&Seasons> {
        self.seasons.as_deref()
    }

    /// Where the features of a side stand among all.
    #[must_use]
    pub fn range(&self, side: Side) -> std::ops::Range<usize> {
        match side {
            Side::Request => 0..self.inputs,
            Side::Response => self.inputs..self.reference.features.len(),
        }
    }

    /// The names that the columns of a side have in bodies.
    pub fn names(&self, side: Side) -> impl Iterator<Item = &str> {
        let inputs = self.reference.features[..self.inputs].iter().map(|f| f.name.as_str());
        let outputs = self.outputs.iter().map(String::as_str);
        let (inputs, outputs) = match side {
            Side::Request => (Some(inputs), None),
            Side::Response => (None, Some(outputs)),
        };
        inputs.into_iter().flatten().chain(outputs.into_iter().flatten())
    }

    /// Where a column of a side stands among all features.
    #[must_use]
    pub fn position(&self, side: Side, name: &str) -> Option<usize> {
        let at = match side {
            Side::Request => 0,
            Side::Response => 1,
        };
        self.positions[at].get(name).copied()
    }

    /// Calls drift of outputs what it is, and takes out findings of outputs of which the window has no
    /// row: answers need not carry what training data did.
    pub fn tell_apart(&self, findings: &mut Vec<Finding>, window: &Window) {
        let of_output = |finding: &Finding| {
            let at = self.reference.position(finding.feature.as_deref()?)?;
            (at >= self.inputs).then_some(at)
        };
        findings.retain(|finding| {
            let rows = of_output(finding).and_then(|at| window.features.get(at));
            rows.is_none_or(|feature| feature.rows > 0)
        });
        for finding in findings {
            if finding.kind == Kind::DataDrift && of_output(finding).is_some() {
                finding.kind = Kind::OutputDrift;
            }
        }
    }
}
