//! The routes of the HTTP API. Errors are `application/problem+json`.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::ask::{Ask, Refusal};
use crate::metrics::Metrics;

/// How long the mind may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request's body.
const MAX_BODY_BYTES: usize = 64 << 10;

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The way to the mind.
    pub mind: mpsc::Sender<Ask>,
    /// What is counted.
    pub metrics: Metrics,
}

/// All routes.
pub fn router(doors: Doors) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/models/{model}/rollback", post(rollback))
        .route("/api/v1/decisions/{id}/approve", post(approve))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such path") })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(doors)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    model: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    author: String,
    reason: String,
}

impl Wish {
    /// The wish of a request; no body at all is a wish without words.
    fn of(body: Result<Json<Self>, JsonRejection>) -> Result<Self, Response> {
        let mut wish = match body {
            Ok(Json(wish)) => wish,
            Err(JsonRejection::MissingJsonContentType(_)) => Self::default(),
            Err(rejection) => {
                return Err(problem(StatusCode::BAD_REQUEST, &rejection.body_text()));
            }
        };
        if wish.author.is_empty() {
            "api".clone_into(&mut wish.author);
        }
        Ok(wish)
    }
}

async fn ready(State(doors): State<Doors>) -> Response {
    match ask(&doors, |reply| Ask::Status { reply }).await {
        Ok(_) => "ok\n".into_response(),
        Err(response) => response,
    }
}

async fn metrics(State(doors): State<Doors>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], doors.metrics.text()).into_response()
}

async fn status(State(doors): State<Doors>) -> Response {
    ask(&doors, |reply| Ask::Status { reply }).await.map_or_else(|e| e, |s| Json(s).into_response())
}

async fn findings(State(doors): State<Doors>, Query(of): Query<Of>) -> Response {
    let judgements = ask(&doors, |reply| Ask::Judgements { model: of.model, reply }).await;
    judgements.map_or_else(|e| e, |windows| Json(json!({ "windows": windows })).into_response())
}

async fn decisions(State(doors): State<Doors>, Query(of): Query<Of>) -> Response {
    let decisions = ask(&doors, |reply| Ask::Decisions { model: of.model, reply }).await;
    decisions.map_or_else(|e| e, |all| Json(json!({ "decisions": all })).into_response())
}

async fn rollback(
    State(doors): State<Doors>,
    Path(model): Path<String>,
    body: Result<Json<Wish>, JsonRejection>,
) -> Response {
    let Wish { author, reason } = match Wish::of(body) {
        Ok(wish) => wish,
        Err(response) => return response,
    };
    granted(ask(&doors, |reply| Ask::Rollback { model, author, reason, reply }).await)
}

async fn approve(
    State(doors): State<Doors>,
    Path(id): Path<String>,
    body: Result<Json<Wish>, JsonRejection>,
) -> Response {
    let author = match Wish::of(body) {
        Ok(wish) => wish.author,
        Err(response) => return response,
    };
    granted(ask(&doors, |reply| Ask::Approve { id, author, reply }).await)
}

/// Asks the mind, and gives up with 503 when it does not answer in time.
async fn ask<T>(doors: &Doors, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Response> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        doors.mind.send(ask(reply)).await.ok()?;
        answer.await.ok()
    };
    match timeout(PATIENCE, asked).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the collector is stopping")),
        Err(_) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the mind did not answer in 2 s")),
    }
}

fn granted<T: serde::Serialize>(answer: Result<Result<T, Refusal>, Response>) -> Response {
    match answer {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(refusal)) => {
            let status = match &refusal {
                Refusal::UnknownModel { .. } | Refusal::UnknownDecision { .. } => {
                    StatusCode::NOT_FOUND
                }
                Refusal::NotProposed { .. } | Refusal::NothingToRollBack { .. } => {
                    StatusCode::CONFLICT
                }
                Refusal::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            problem(status, &refusal.to_string())
        }
        Err(response) => response,
    }
}

/// RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}
