//! llama.cpp's server behind the gate: OpenAI's chat, completions and embeddings, whole and as
//! server-sent events.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use xtask::tools::servers::Server;

use crate::room;
use crate::said::{self, Said, answered, post};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";
/// What is drawn or measured, and what depends on which words the server still remembers.
const CHANGING: [&str; 5] = ["id", "created", "timings", "prompt_tokens_details", "embedding"];

fn chat(more: &Value) -> Value {
    let mut chat = json!({
        "model": "small", "max_tokens": 8, "temperature": 0, "seed": 1,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "héllo \"wörld\"\n"}],
    });
    for (key, value) in more.as_object().expect("an object") {
        chat[key] = value.clone();
    }
    chat
}

fn routes() -> Said {
    let plain = chat(&json!({}));
    let parts = json!([{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]}]);
    let words =
        json!({"model": "small", "prompt": "Once", "max_tokens": 4, "temperature": 0, "seed": 1});
    let mut streamed = words.clone();
    streamed["stream"] = true.into();
    let mut good = vec![
        answered(1, post(CHAT, &plain)),
        answered(1, post("/chat/completions", &plain)),
        answered(2, post(CHAT, &chat(&json!({"n": 2})))),
        answered(1, post(CHAT, &chat(&json!({"logprobs": true, "top_logprobs": 2})))),
        answered(1, post(CHAT, &chat(&json!({"messages": parts})))),
        answered(1, post(CHAT, &chat(&json!({"stream": true})))),
        answered(
            1,
            post(CHAT, &chat(&json!({"stream": true, "stream_options": {"include_usage": true}}))),
        ),
        answered(1, post(CHAT, &chat(&json!({"model": "nobody"})))),
        answered(1, post(COMPLETIONS, &words)),
        answered(1, post(COMPLETIONS, &streamed)),
        answered(
            1,
            post(
                COMPLETIONS,
                &json!({"model": "small", "prompt": [40, 41, 42], "max_tokens": 3, "temperature": 0}),
            ),
        ),
        answered(
            2,
            post(
                COMPLETIONS,
                &json!({"model": "small", "prompt": ["Once", "upon"], "max_tokens": 3, "temperature": 0}),
            ),
        ),
        answered(1, post(EMBEDDINGS, &json!({"model": "small", "input": "hello"}))),
        answered(2, post(EMBEDDINGS, &json!({"model": "small", "input": ["hello", "world"]}))),
        answered(
            2,
            post(EMBEDDINGS, &json!({"model": "small", "input": [[40, 41], [42, 43, 44]]})),
        ),
        answered(
            1,
            post(
                EMBEDDINGS,
                &json!({"model": "small", "input": "hello", "encoding_format": "base64"}),
            ),
        ),
    ];
    good.extend(said::framings(CHAT, &plain).into_iter().map(|request| answered(1, request)));

    let bad = vec![
        post(CHAT, &json!({"model": "small"})),
        post(CHAT, &json!({"model": "small", "messages": "hi"})),
        post(CHAT, &json!({"model": "small", "messages": [{"role": "user", "content": 5}]})),
        post(CHAT, &chat(&json!({"max_tokens": "ten"}))),
        post(CHAT, &chat(&json!({"temperature": "hot"}))),
        post(CHAT, &chat(&json!({"stream": true, "temperature": "hot"}))),
        post(EMBEDDINGS, &json!({"model": "small"})),
    ];

    let mut other = said::unreadable(CHAT);
    other.extend(said::coded(CHAT, &plain));
    let long = json!({"stream": true, "messages": [{"role": "user", "content": "x".repeat(6000)}]});
    other.extend([
        post(CHAT, &chat(&long)),
        Request::get("/v1/models"),
        Request::get("/health"),
        Request::get(CHAT),
        Request::get("/v1/nobody"),
        Request::new("HEAD", "/v1/models"),
        Request::new("OPTIONS", CHAT).header("origin", "http://elsewhere"),
    ]);
    Said { good, bad, other }
}

/// The choices or embeddings of an answer, or of all events of a stream.
fn answers(response: &Response) -> Option<usize> {
    let text = response.text();
    if !text.starts_with("data: ") {
        let body = response.json();
        return body["choices"].as_array().or(body["data"].as_array()).map(Vec::len);
    }
    let mut choices: Vec<u64> = Vec::new();
    for event in text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let indices = event["choices"].as_array().into_iter().flatten();
        choices.extend(indices.filter_map(|choice| choice["index"].as_u64()));
    }
    choices.sort_unstable();
    choices.dedup();
    text.ends_with("data: [DONE]\n\n").then_some(choices.len())
}

#[test]
fn llamacpp_is_untouched_by_the_gate() {
    let _room = room::enter();
    let stage = said::stage("llamacpp");
    let server = said::serve(&stage, Server::LlamaCpp);
    let plan = Plan::of("llamacpp-house").every_path().model(Model::at("small", "json", "/v1"));
    let gate = Gate::before(server.http, plan, &CHANGING);
    routes().untouched(&gate, answers);
}
