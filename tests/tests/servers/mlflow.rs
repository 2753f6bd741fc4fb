//! MLflow behind the gate: every form that `/invocations` takes.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use tidegate_tests::people;
use xtask::tools::servers::Server;

use crate::forms;
use crate::room;
use crate::said::{self, Good, Said, about, changed, columns, post, records, rows, typed};

const PATH: &str = "/invocations";

fn split(count: usize) -> Value {
    json!({"columns": ["age", "wage", "gender", "work"], "data": rows(count)})
}

fn csv(text: impl Into<Vec<u8>>) -> Request {
    typed(PATH, Some("text/csv"), text)
}

fn invocations() -> Said {
    let by_split = json!({"dataframe_split": split(3)});
    let head = "age,wage,gender,work\n";
    let mut good = vec![
        about(3, post(PATH, &by_split)),
        about(
            2,
            post(
                PATH,
                &json!({"dataframe_split": {"index": [7, 8], "columns": split(2)["columns"], "data": split(2)["data"]}}),
            ),
        ),
        Good::of(
            "Private",
            Request::post(
                PATH,
                r#"{"dataframe_split": {"data": [[30, 10.5, "F", "Private"]], "columns": ["age", "wage", "gender", "work"]}}"#,
            ),
        ),
        Good::of(
            "Private",
            post(
                PATH,
                &json!({"dataframe_split": {"columns": ["work", "gender", "wage", "age"], "data": [["Private", "F", 10.5, 30]]}}),
            ),
        ),
        about(3, post(PATH, &json!({"dataframe_records": records(3)}))),
        about(3, post(PATH, &json!({"dataframe_records": records(3), "params": {"a": 1}}))),
        about(3, post(PATH, &json!({"instances": records(3)}))),
        about(3, post(PATH, &json!({"inputs": columns(3)}))),
        about(2, post(PATH, &json!({"inputs": records(2)}))),
        about(1, post(PATH, &json!({"inputs": records(1)[0]}))),
        about(2000, post(PATH, &json!({"dataframe_split": split(2000)}))),
        about(50, csv(people::csv(&said::people(50)))),
        about(2, csv(people::csv(&said::people(2)).replace('\n', "\r\n"))),
        about(2, typed(PATH, Some("text/csv; charset=utf-8"), people::csv(&said::people(2)))),
        Good::of("Private, at home", csv(format!("{head}30,10.5,\"F\",\"Private, at home\"\n"))),
        about(3, typed(PATH, Some("application/json; charset=utf-8"), by_split.to_string())),
    ];
    let framings = said::framings(PATH, &by_split).into_iter();
    // Without a content type MLflow answers 500.
    good.extend(
        framings
            .filter(|request| request.sent_head().header("content-type").is_some())
            .map(|request| about(3, request)),
    );

    let mut bad = vec![
        // MLflow drops the column; a contract does not know it.
        post(
            PATH,
            &json!({"dataframe_split": {"columns": ["age", "more", "wage", "gender", "work"], "data": [[30, 1, 10.5, "F", "Private"]]}}),
        ),
        post(PATH, &json!({"dataframe_records": [{"age": 30}]})),
        post(
            PATH,
            &json!({"dataframe_split": {"columns": ["age", "wage", "gender", "work"], "data": [[30, 10.5]]}}),
        ),
    ];
    for (field, value) in said::wrong() {
        let one = changed(field, value);
        let cells = ["age", "wage", "gender", "work"].map(|name| one[name].clone());
        bad.push(post(PATH, &json!({"dataframe_records": [one]})));
        bad.push(post(PATH, &json!({"instances": [one]})));
        bad.push(post(PATH, &json!({"dataframe_split": {"columns": ["age", "wage", "gender", "work"], "data": [cells]}})));
        if field == "work" {
            // In a table of lines 7 is a text like any other.
            continue;
        }
        let cells = cells.map(|cell| match cell {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        });
        bad.push(csv(format!("{head}{}\n", cells.join(","))));
    }

    let mut other = said::unreadable(PATH);
    other.extend(said::coded(PATH, &by_split));
    other.extend([
        said::without_type(PATH, &by_split),
        typed(PATH, Some("text/plain"), by_split.to_string()),
        typed(PATH, Some("application/json; format=pandas-split"), split(1).to_string()),
        // Rows of mixed types become one array of text, which the signature does not take.
        post(PATH, &json!({"instances": rows(2)})),
        post(PATH, &records(2)),
        csv("a,b\n1,2,3\n4,5,6,7\n"),
        csv(format!("{head}30,,F,x\n")),
        Request::post(
            PATH,
            r#"{"dataframe_records":[{"age":30,"wage":NaN,"gender":"F","work":"x"}]}"#,
        ),
        Request::get(PATH),
        Request::get("/ping"),
        Request::get("/health"),
        Request::get("/version"),
        Request::get("/openapi.json"),
        Request::get("/nobody"),
    ]);
    Said { good, bad, other }
}

#[test]
fn mlflow_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("mlflow");
    let server = said::serve(&stage, Server::MLflow);
    let plan = Plan::of("mlflow-house").every_path().model(Model::at("census", "mlflow", PATH));
    let gate = Gate::before(server.http, plan, &[]);
    let predictions = |response: &Response| Some(response.json()["predictions"].as_array()?.len());
    invocations().untouched(&gate, predictions);
    drop(gate);

    let model = Model::at("census", "mlflow", PATH).mode("enforce");
    let plan = Plan::of("mlflow-enforced").every_path().model(model);
    let gate = Gate::before(server.http, plan, &[]);
    invocations().enforced(&gate);
    forms::agree(&gate, &forms::mlflow::forms(PATH));
}
