//! Looser forms: other ways to say the same that some server takes, though no text of its protocol
//! names them. What a server takes must pass where its values are good, and be refused where they
//! are not. Which server takes what is not known here: it is asked, each time.

use serde_json::Value;
use tidegate_tests::client::Request;
use tidegate_tests::gate::Gate;

pub mod json;
pub mod mlflow;
pub mod oip;
pub mod v1;

/// One form, said about good people and about people of whom one is too old.
pub struct Form {
    what: &'static str,
    good: Request,
    bad: Request,
    /// Why we refuse it although a server takes it.
    stricter: Option<&'static str>,
}

/// A contract says more than a server asks.
pub const ASKED: &str = "the contract asks for more than the server";
/// One reader takes the first, another the last: what is judged might not be what is served.
pub const TWICE: &str = "readers differ in which of two they take";
/// Nobody is known to send it.
pub const RARE: &str = "what is read here is JSON in UTF-8";

/// How forms are made of people.
pub struct Forms {
    good: Value,
    bad: Value,
    forms: Vec<Form>,
}

impl Forms {
    /// Forms of what is said about these people, the bad ones with one who is too old.
    pub fn about(good: Value, bad: Value) -> Self {
        Self { good, bad, forms: Vec::new() }
    }

    /// With one more that passes wherever a server takes it.
    #[must_use]
    pub fn with(self, what: &'static str, request: impl Fn(&Value) -> Request) -> Self {
        self.add(what, None, request)
    }

    /// With one more that is refused all the same.
    #[must_use]
    pub fn without(
        self,
        what: &'static str,
        why: &'static str,
        request: impl Fn(&Value) -> Request,
    ) -> Self {
        self.add(what, Some(why), request)
    }

    fn add(
        mut self,
        what: &'static str,
        stricter: Option<&'static str>,
        request: impl Fn(&Value) -> Request,
    ) -> Self {
        let (good, bad) = (request(&self.good), request(&self.bad));
        self.forms.push(Form { what, good, bad, stricter });
        self
    }

    /// All of them.
    pub fn all(self) -> Vec<Form> {
        self.forms
    }
}

/// Says each form to the server, and behind a contract of people in `enforce`.
pub fn agree(gate: &Gate, forms: &[Form]) {
    let (mut differ, mut taken) = (Vec::new(), 0);
    for Form { what, good, bad, stricter } in forms {
        let takes = |request: &Request| (200..300).contains(&gate.own(request).status);
        let refusal = |request: &Request| {
            let response = gate.house.ask(request);
            let kind = response.head.header("content-type");
            (kind.as_deref() == Some("application/problem+json")).then(|| response.text())
        };
        let good_is_taken = takes(good);
        taken += usize::from(good_is_taken);
        match (refusal(good), stricter) {
            (Some(refusal), None) if good_is_taken => {
                differ.push(format!("{what}: the server takes it, we say {refusal}"));
            }
            (None, Some(why)) => differ.push(format!("{what}: passes, but was not to: {why}")),
            _ => {}
        }
        if refusal(bad).is_none() && takes(bad) {
            differ.push(format!("{what}: bad, and not refused"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(taken > 0, "the server takes none of them: nothing was compared");
}

/// Holds the same of what a script was told by a server over gRPC, directly and behind the contract. A
/// form with a word on `stricter` is refused all the same.
pub fn agree_over_grpc(own: &[Value], through: &[Value]) {
    assert_eq!(own.len(), through.len());
    assert!(!own.is_empty());
    for (own, through) in own.iter().zip(through) {
        let form = &own["form"];
        if own["stricter"].is_string() {
            assert_eq!(through["good"], "INVALID_ARGUMENT", "{form}");
        } else if own["good"] == "OK" {
            assert_eq!(through["good"], "OK", "{form}");
        }
        if own["bad"] == "OK" {
            assert_eq!(through["bad"], "INVALID_ARGUMENT", "{form}");
        }
    }
}

/// An object with one key changed.
fn but(value: &Value, key: &str, new: Value) -> Value {
    let mut value = value.clone();
    value[key] = new;
    value
}

/// A text with the mark of byte order before it.
fn marked(text: &str) -> String {
    format!("\u{feff}{text}")
}

/// A text in UTF-16, little endian.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
