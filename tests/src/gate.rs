//! A real model server behind the gate: every exchange is held against what the client sent, what
//! the server got and gave, and what the server says when it is asked without us. It does not know
//! what the bodies mean.

use crate::client::{Client, Request, Response};
use crate::house::{House, Plan};
use crate::samples::SAMPLES;
use crate::tap::Tap;
use crate::wire::{Body, Framing, Head, Headers, read_body, read_head};

/// Headers of a hop, or of Envoy by its own configuration: not the server's word to the client.
const OF_THE_HOP: [&str; 7] =
    ["connection", "keep-alive", "transfer-encoding", "content-length", "server", "date", "host"];

/// What Envoy adds on its way to the server, as it does without us.
const ADDED_UP: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
];

/// A model server, and a house before it.
pub struct Gate {
    /// The house: Envoy with the filter, and the collector.
    pub house: House,
    tap: Tap,
    server: u16,
    /// Keys and headers whose values are new in each answer.
    changing: &'static [&'static str],
}

/// What the server said to the same request without us and with us.
#[derive(Debug)]
pub struct Answers {
    /// Asked without us.
    pub own: Response,
    /// Asked through Envoy.
    pub through: Response,
}

impl Gate {
    /// Puts the house of a plan up before the server at this port. `changing` names the JSON keys
    /// and the headers whose values differ from answer to answer.
    #[must_use]
    pub fn before(server: u16, plan: Plan, changing: &'static [&'static str]) -> Self {
        let tap = Tap::before(server);
        // After an exception uvicorn closes the connection and does not say so in its 500. Whatever
        // comes over the same one at that moment is answered 503 by Envoy, with us or without.
        let plan = plan.replace("{idle_timeout: 4s}", "{max_requests_per_connection: 1}");
        // What is read of the exchanges is written, whole.
        let plan = plan.line(SAMPLES).each_model("max_capture_bytes: 393216");
        let house = plan.v1_at(tap.port()).raise();
        Self { house, tap, server, changing }
    }

    /// Sends a request once to the server and once through Envoy. Holds that the server got what
    /// was sent, that the client got what the server gave, and that the server said the same
    /// both times.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn check(&self, request: &Request) -> Answers {
        let own = self.own(request);
        let _ = self.tap.take();
        let through = self.house.ask(request);
        let mut passed = self.tap.take();
        // What a server still said to an earlier request came late, on a connection of its own.
        passed.retain(|passed| !passed.up.is_empty());
        let sent = request.sent_head();
        let what = &shown(&sent);
        let asked = passed.len();
        assert_eq!(asked, 1, "{what}: connections asked the server; {}", through.text());

        let (head, body) = read(&passed[0].up, false, "GET")
            .unwrap_or_else(|| panic!("{what}: no request came to the server"));
        assert_eq!(head.line, sent.line);
        // A server that refuses by the head need not get the rest.
        let as_sent = if through.status < 400 || body.whole {
            body.whole && body.bytes == request.body()
        } else {
            request.body().starts_with(&body.bytes)
        };
        assert!(as_sent, "{what}: the request's body changed");
        let got = without(&head.headers, &[&OF_THE_HOP, &ADDED_UP]);
        assert_eq!(got, without(&sent.headers, &[&OF_THE_HOP]), "{what}: the request's headers");

        let (gave, body) = read(&passed[0].down, true, request.method()).unwrap_or_else(|| {
            let down = String::from_utf8_lossy(&passed[0].down);
            panic!("{what}: no whole answer from the server, but {down:?}; {through:?}")
        });
        assert!(through.body.bytes == body.bytes, "{what}: the answer's body changed");
        let status = gave.line.split(' ').nth(1).map(str::to_owned);
        assert_eq!(status, Some(through.status.to_string()), "{what}");
        let added: &[&str] = &["x-envoy-upstream-service-time"];
        let came = without(&through.head.headers, &[&OF_THE_HOP, added]);
        assert_eq!(came, without(&gave.headers, &[&OF_THE_HOP]), "{what}: the answer's headers");

        self.check_same(what, &own, &through);
        Answers { own, through }
    }

    /// What the server says when it is asked without us.
    #[must_use]
    pub fn own(&self, request: &Request) -> Response {
        Client::to(self.server).ask(request)
    }

    /// Sends a request through Envoy that a contract refuses. Holds that no whole request reached
    /// the server, and gives the refusal.
    ///
    /// # Panics
    /// When one did.
    #[must_use]
    pub fn refused(&self, request: &Request) -> Response {
        let _ = self.tap.take();
        let refusal = self.house.ask(request);
        let what = shown(&request.sent_head());
        for passed in self.tap.take() {
            let reached = read(&passed.up, false, "GET").is_some_and(|(_, body)| body.whole);
            assert!(!reached, "{what}: it reached the server; {}", refusal.text());
        }
        refusal
    }

    fn check_same(&self, what: &str, own: &Response, through: &Response) {
        assert_eq!(through.status, own.status, "{what}\n{}\n{}", through.text(), own.text());
        let told = |response: &Response| {
            let mut headers = without(&response.head.headers, &[&OF_THE_HOP]);
            headers.retain(|(name, _)| name != "x-envoy-upstream-service-time");
            for (name, value) in &mut headers {
                if self.changing.contains(&name.as_str()) {
                    value.clear();
                }
            }
            headers
        };
        assert_eq!(told(through), told(own), "{what}");
        let steady = |response: &Response| steady(&response.body.bytes, self.changing);
        let (came, own) = (steady(through), steady(own));
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(came == own, "{what}\n{}\n{}", shown(&came), shown(&own));
    }
}

/// The one message that was said; what comes after interim answers.
fn read(mut bytes: &[u8], reply: bool, method: &str) -> Option<(Head, Body)> {
    loop {
        let head = read_head(&mut bytes).ok()??;
        let status: u16 =
            head.line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        if reply && (100..200).contains(&status) {
            continue;
        }
        let bodiless = reply && (method == "HEAD" || matches!(status, 204 | 304));
        let framing = if bodiless { Framing::Length(0) } else { head.framing(reply) };
        let mut body = Body::default();
        // What came of a body that broke off stays in it, and it is not whole.
        let _ = read_body(&mut bytes, framing, &mut body);
        return Some((head, body));
    }
}

/// A request by its line and what its headers say of the body.
fn shown(sent: &Head) -> String {
    let about = sent.headers.iter().filter(|(name, _)| name != "host");
    let about = about.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    format!("{} ({})", sent.line, about.collect::<Vec<_>>().join(", "))
}

fn without(headers: &Headers, names: &[&[&str]]) -> Headers {
    let mut kept = headers.clone();
    kept.retain(|(name, _)| !names.iter().any(|names| names.contains(&name.as_str())));
    // Envoy keeps the order of values of one name, not that of names.
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    kept
}

/// A body with the values of some JSON keys taken out, wherever `"key":` stands.
fn steady(body: &[u8], keys: &[&str]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(first) = rest.first() {
        let hit = keys.iter().find_map(|key| {
            let quoted = format!("\"{key}\":");
            rest.starts_with(quoted.as_bytes()).then_some(quoted.len())
        });
        let Some(length) = hit else {
            kept.push(*first);
            rest = &rest[1..];
            continue;
        };
        kept.extend_from_slice(&rest[..length]);
        rest = &rest[length + value_length(&rest[length..])..];
    }
    kept
}

/// How many bytes the JSON value takes that begins here.
fn value_length(bytes: &[u8]) -> usize {
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'[' | b'{' => depth += 1,
            b',' if depth == 0 => return at,
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, keys: &[&str]) -> String {
        String::from_utf8(steady(body.as_bytes(), keys)).expect("text")
    }

    #[test]
    fn a_value_that_changes_is_taken_out_and_nothing_else() {
        assert_eq!(check(r#"{"id": "a,\"}b", "x": 1}"#, &["id"]), r#"{"id":, "x": 1}"#);
        assert_eq!(check(r#"{"t": {"a": [1, "}"]}, "x": 1}"#, &["t"]), r#"{"t":, "x": 1}"#);
        assert_eq!(check("data: {\"created\":17}\n\n", &["created"]), "data: {\"created\":}\n\n");
        assert_eq!(check(r#"{"idle": 1}"#, &["id"]), r#"{"idle": 1}"#);
    }
}
