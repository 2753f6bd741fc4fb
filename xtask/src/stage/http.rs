//! The one door to `ureq`: small HTTP exchanges on loopback. It does not know whom it asks.

use std::time::Duration;

use serde_json::Value;

/// A client that keeps its connections alive. One for each thread that sends.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
}

/// What came back: any status counts as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 16 MiB of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, or null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there was no answer: refused, reset, timed out.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct Unanswered {
    /// What was asked.
    pub url: String,
    /// Why nothing came.
    pub reason: String,
}

impl Client {
    /// A client that waits at most `within` for a whole exchange.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(within))
            // A proxy set for the internet has no business on loopback.
            .proxy(None)
            .max_redirects(0)
            .build();
        Self { agent: config.into() }
    }

    /// GET.
    ///
    /// # Errors
    /// No answer came.
    pub fn get(&self, url: &str) -> Result<Answer, Unanswered> {
        self.finish(url, self.agent.get(url).call())
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// No answer came.
    pub fn post(&self, url: &str, body: &[u8]) -> Result<Answer, Unanswered> {
        let request = self.agent.post(url).header("content-type", "application/json");
        self.finish(url, request.send(body))
    }

    fn finish(
        &self,
        url: &str,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Unanswered> {
        let unanswered =
            |error: ureq::Error| Unanswered { url: url.to_owned(), reason: error.to_string() };
        let mut response = response.map_err(unanswered)?;
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(16 << 20).read_to_vec().map_err(unanswered)?;
        Ok(Answer { status, body })
    }
}

/// Whether `url` answers 200 right now; for polling readiness.
#[must_use]
pub fn answers_ok(url: &str) -> bool {
    Client::new(Duration::from_secs(2)).get(url).is_ok_and(|answer| answer.status == 200)
}
