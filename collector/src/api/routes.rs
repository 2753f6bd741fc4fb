//! The routes of the HTTP API. Errors are `application/problem+json`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::answer::{RolloutStatus, Status};
use super::ask::{Ask, Refusal, RolloutWish};
use crate::decision::Decision;
use crate::judgement::Judgement;
use crate::labels::outcomes::Taken;
use crate::labels::reading::{self, Labelled};
use crate::manual::wish::{self, Order, WishError};
use crate::metrics::Metrics;
use crate::why::Why;

/// How long the mind may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request's body.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Bytes of labels: ten thousand of the usual length.
const MAX_LABELS_BYTES: usize = 2 << 20;

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The way to the mind.
    pub mind: mpsc::Sender<Ask>,
    /// What is counted.
    pub metrics: Metrics,
    /// The models that labels can be of.
    pub labelled: Arc<Labelled>,
}

/// All routes.
pub fn router(doors: Doors) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/models/{model}/why", get(why))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/decisions", get(decisions))
        .route("/api/v1/decisions/{id}", get(decision))
        .route("/api/v1/labels", post(labels).layer(DefaultBodyLimit::max(MAX_LABELS_BYTES)))
        .route("/api/v1/models/{model}/rollback", post(rollback))
        .route("/api/v1/models/{model}/rollout", post(rollout))
        .route("/api/v1/models/{model}/block", post(intervene::<wish::Block>))
        .route("/api/v1/models/{model}/divert", post(intervene::<wish::Divert>))
        .route("/api/v1/decisions/{id}/approve", post(approve))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no such path".to_owned()) })
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
    fn of(
        headers: &HeaderMap,
        body: Result<Option<Json<Self>>, JsonRejection>,
    ) -> Result<Self, Problem> {
        same_origin(headers)?;
        let mut wish = match body {
            Ok(wish) => wish.map_or_else(Self::default, |Json(wish)| wish),
            Err(rejection) => return Err(Problem::new(rejection.status(), rejection.body_text())),
        };
        if wish.author.is_empty() {
            "api".clone_into(&mut wish.author);
        }
        Ok(wish)
    }
}

/// Refuses what a page of another origin sends: a browser does it without asking whoever sits
/// before it.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).map(|origin| origin.split_once("://").map(|(_, host)| host));
    if let Some(origin) = origin
        && (origin.is_none() || origin != text(header::HOST))
    {
        let why = "a page of another origin may not decide anything here";
        return Err(Problem::new(StatusCode::FORBIDDEN, why.to_owned()));
    }
    Ok(())
}

async fn ready(State(doors): State<Doors>) -> Result<&'static str, Problem> {
    match ask(&doors, |reply| Ask::Ready { reply }).await? {
        None => Ok("ok\n"),
        Some(trouble) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, trouble)),
    }
}

async fn metrics(State(doors): State<Doors>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], doors.metrics.text()).into_response()
}

async fn status(State(doors): State<Doors>) -> Result<Json<Status>, Problem> {
    ask(&doors, |reply| Ask::Status { reply }).await.map(Json)
}

async fn why(State(doors): State<Doors>, Path(model): Path<String>) -> Result<Json<Why>, Problem> {
    Ok(Json(ask(&doors, |reply| Ask::Why { model, reply }).await??))
}

async fn findings(
    State(doors): State<Doors>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, Problem> {
    let windows = ask(&doors, |reply| Ask::Judgements { model: of.model, reply }).await?;
    let windows: Vec<&Judgement> = windows.iter().map(Arc::as_ref).collect();
    Ok(Json(json!({ "windows": windows })))
}

async fn decisions(
    State(doors): State<Doors>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, Problem> {
    let decisions = ask(&doors, |reply| Ask::Decisions { model: of.model, reply }).await?;
    Ok(Json(json!({ "decisions": decisions })))
}

async fn decision(
    State(doors): State<Doors>,
    Path(id): Path<String>,
) -> Result<Json<Decision>, Problem> {
    Ok(Json(ask(&doors, |reply| Ask::Decision { id, reply }).await??))
}

async fn labels(
    State(doors): State<Doors>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Taken>, Problem> {
    same_origin(&headers)?;
    let body = body.map_err(|rejection| {
        let told = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!("more than {MAX_LABELS_BYTES} bytes of labels; send them in parts")
            }
            _ => rejection.body_text(),
        };
        Problem::new(rejection.status(), told)
    })?;
    let labels = reading::read(&body, &doors.labelled)
        .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))?;
    Ok(Json(ask(&doors, |reply| Ask::Labels { labels, reply }).await?))
}

async fn rollback(
    State(doors): State<Doors>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Result<Option<Json<Wish>>, JsonRejection>,
) -> Result<Json<Decision>, Problem> {
    let Wish { author, reason } = Wish::of(&headers, body)?;
    let granted = ask(&doors, |reply| Ask::Rollback { model, author, reason, reply }).await?;
    Ok(Json(granted?))
}

#[derive(Debug, Deserialize)]
struct WishOfRollout {
    #[serde(default)]
    author: String,
    #[serde(flatten)]
    wish: RolloutWish,
}

async fn rollout(
    State(doors): State<Doors>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Result<Json<WishOfRollout>, JsonRejection>,
) -> Result<Json<RolloutStatus>, Problem> {
    same_origin(&headers)?;
    let Json(WishOfRollout { mut author, wish }) =
        body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    if author.is_empty() {
        "api".clone_into(&mut author);
    }
    let granted = ask(&doors, |reply| Ask::Rollout { model, wish, author, reply }).await?;
    Ok(Json(granted?))
}

/// Blocks or diverts, by the wish in the body.
async fn intervene<W>(
    State(doors): State<Doors>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Result<Json<W>, JsonRejection>,
) -> Result<Json<Decision>, Problem>
where
    Order: TryFrom<W, Error = WishError>,
{
    same_origin(&headers)?;
    let Json(wish) =
        body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let order = Order::try_from(wish)
        .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))?;
    let granted = ask(&doors, |reply| Ask::Intervene { model, order, reply }).await?;
    Ok(Json(granted?))
}

async fn approve(
    State(doors): State<Doors>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Option<Json<Wish>>, JsonRejection>,
) -> Result<Json<Decision>, Problem> {
    let author = Wish::of(&headers, body)?.author;
    let granted = ask(&doors, |reply| Ask::Approve { id, author, reply }).await?;
    Ok(Json(granted?))
}

/// Asks the mind, and gives up with 503 when it does not answer in time.
async fn ask<T>(doors: &Doors, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Problem> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        doors.mind.send(ask(reply)).await.ok()?;
        answer.await.ok()
    };
    let unavailable = |why: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
    match timeout(PATIENCE, asked).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(unavailable("the collector is stopping")),
        Err(_) => Err(unavailable(
            "the collector did not answer in 2 s: look at `tidegate status` before you repeat a wish, it may still be granted",
        )),
    }
}

/// What the API answers when it does not do what was asked. RFC 9457.
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: String) -> Self {
        Self { status, detail }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::UnknownModel { .. } | Refusal::UnknownDecision { .. } => StatusCode::NOT_FOUND,
            Refusal::NotProposed { .. }
            | Refusal::NothingToRollBack { .. }
            | Refusal::NoRollout { .. }
            | Refusal::RolloutOpen { .. }
            | Refusal::InForce { .. }
            | Refusal::Weaker { .. }
            | Refusal::NotReady { .. } => StatusCode::CONFLICT,
            Refusal::NoCandidate { .. } | Refusal::BadPlan { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Refusal::Misfit { .. } | Refusal::NoFallback { .. } => StatusCode::BAD_REQUEST,
            Refusal::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Elsewhere { .. } => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Undecided { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or("error");
        let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, body.to_string()).into_response()
    }
}
