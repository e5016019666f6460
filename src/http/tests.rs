//! Real requests against servers on loopback ports that the system chose.
//!
//! Next: `mod.rs`.

use super::*;
use crate::domain::time::Timestamp;
use crate::runtime::clock;
use crate::runtime::status::{Reevaluation, TaskState, WorkerReporter};
use serde_json::Value;
use tokio::task::JoinHandle;

struct Running {
    metrics: String,
    admin: String,
    worker: WorkerReporter,
    status: Arc<Status>,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<(), HttpError>>,
}

fn config(token: Option<PathBuf>) -> HttpConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    HttpConfig { metrics_listen: any, admin_listen: any, admin_token_file: token }
}

fn sources() -> (Sources, WorkerReporter) {
    let status = Status::new(1);
    let worker = status.reporter(0, clock::monotonic_ms());
    let lookup: Lookup = Arc::new(|id| match id {
        "c 1/ü" => CustomerAnswer::Found(br#"{"customer_id":"c 1/\u00fc"}"#.to_vec()),
        "far" => CustomerAnswer::Elsewhere {
            partition: 3,
            owner: Some("ebbflow-2".into()),
            moved_to: None,
        },
        "early" => CustomerAnswer::NotReady("partition 1 is being restored".into()),
        _ => CustomerAnswer::NotFound,
    });
    let metrics = Arc::new(Metrics::new(4, 10).unwrap());
    let sources = Sources { status, metrics, lookup, stalled_after: Duration::from_secs(300) };
    (sources, worker)
}

async fn start(token: Option<PathBuf>) -> Running {
    let (sources, worker) = sources();
    let status = Arc::clone(&sources.status);
    let server = Server::bind(&config(token), sources).await.unwrap();
    let metrics = format!("http://{}", server.metrics_address().unwrap());
    let admin = format!("http://{}", server.admin_address().unwrap());
    let (stop, stopped) = watch::channel(false);
    let ended = tokio::spawn(server.run(stopped));
    Running { metrics, admin, worker, status, stop, ended }
}

/// Status code, content type and body.
async fn get_with(url: String, token: Option<&'static str>) -> (u16, String, String) {
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.get(&url);
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let mut response = request.call().unwrap();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), content_type, body)
    })
    .await
    .unwrap()
}

async fn fetch(url: String) -> (u16, String, String) {
    get_with(url, None).await
}

#[tokio::test]
async fn probes_say_why_not() {
    let running = start(None).await;
    let readyz = || fetch(format!("{}/readyz", running.metrics));
    let livez = || fetch(format!("{}/livez", running.metrics));
    let (code, _, body) = readyz().await;
    assert_eq!((code, body.as_str()), (503, "worker 0 has not joined the consumer group yet\n"));
    running.worker.update(|worker| worker.joined = true);
    running.worker.update_task(2, |task| task.state = TaskState::Restoring { records: 9 });
    let (code, _, body) = readyz().await;
    assert_eq!((code, body.as_str()), (503, "partition 2 is being restored, 9 records so far\n"));
    running.worker.update_task(2, |task| task.state = TaskState::Running);
    assert_eq!(readyz().await.0, 200);
    let cluster = running.status.cluster();
    cluster.failed(0, Timestamp(0), Timestamp(60_000), "all brokers are down");
    let (code, _, body) = readyz().await;
    let reason =
        "the cluster has not answered since 1970-01-01T00:00:00.000Z: all brokers are down";
    assert_eq!((code, body), (503, format!("{reason}\n")));
    let (_, _, body) = fetch(format!("{}/tasks", running.metrics)).await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["broker"]["up"], false);
    assert_eq!(told["broker"]["away_since"], "1970-01-01T00:00:00.000Z");
    assert_eq!(told["broker"]["error"], "all brokers are down");
    cluster.answered(0, Timestamp(61_000));
    assert_eq!(readyz().await.0, 200);
    assert_eq!(livez().await.0, 200);
    drop(running.worker);
    let (code, _, body) = livez().await;
    assert_eq!((code, body.as_str()), (503, "worker 0 has ended\n"));
}

#[tokio::test]
async fn metrics_and_tasks_show_what_the_worker_told() {
    let running = start(None).await;
    running.worker.update(|worker| worker.joined = true);
    running.worker.update_task(2, |task| {
        task.state = TaskState::Running;
        task.clock = Some(Timestamp(1_772_357_400_000));
        task.customers = 12;
    });
    let (code, content_type, body) = fetch(format!("{}/metrics", running.metrics)).await;
    assert_eq!((code, content_type.as_str()), (200, "text/plain; version=0.0.4"));
    assert!(body.contains("\nebbflow_customers{partition=\"2\"} 12\n"), "{body}");
    assert!(body.contains("\nebbflow_ready 1\n"), "{body}");
    assert!(body.contains("\nebbflow_rules_revision 4\n"), "{body}");
    let (code, _, body) = fetch(format!("{}/tasks", running.metrics)).await;
    let tasks: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &tasks["ready"]), (200, &Value::Bool(true)));
    let task = &tasks["workers"][0]["tasks"][0];
    assert_eq!(task["clock"], "2026-03-01T09:30:00.000Z");
    assert_eq!((&task["state"], &task["partition"]), (&"running".into(), &2.into()));
    assert_eq!(task["inputs"]["purchases"]["next_offset"], 0);
}

#[tokio::test]
async fn a_re_evaluation_shows_how_far_it_is_and_keeps_nobody_from_being_ready() {
    let running = start(None).await;
    running.worker.update(|worker| worker.joined = true);
    running.worker.update_task(2, |task| {
        task.state = TaskState::Running;
        task.customers = 500;
        task.reevaluation = Some(Reevaluation { revision: 5, left: 120, per_second: Some(76.0) });
    });
    running.worker.update_task(3, |task| task.state = TaskState::Running);
    let (code, _, body) = fetch(format!("{}/readyz", running.metrics)).await;
    let told = "ok\npartition 2 judges its customers by rules revision 5: 120 of 500 left\n";
    assert_eq!((code, body.as_str()), (200, told));
    let (_, _, body) = fetch(format!("{}/tasks", running.metrics)).await;
    let tasks: Value = serde_json::from_str(&body).unwrap();
    let tasks = &tasks["workers"][0]["tasks"];
    let expected = serde_json::json!({
        "revision": 5, "customers_done": 380, "customers_left": 120, "customers_per_second": 76.0,
    });
    assert_eq!(tasks[0]["reevaluation"], expected);
    assert_eq!(tasks[1]["reevaluation"], Value::Null);
    let (_, _, body) = fetch(format!("{}/metrics", running.metrics)).await;
    assert!(body.contains("\nebbflow_reevaluation_customers_left{partition=\"2\"} 120\n"));
    assert!(body.contains("\nebbflow_reevaluation_customers_left{partition=\"3\"} 0\n"));
}

#[tokio::test]
async fn a_customer_is_found_missing_elsewhere_or_not_ready() {
    let running = start(None).await;
    let customer = |id: &str| fetch(format!("{}/customers/{id}", running.admin));
    let (code, content_type, body) = customer("c%201%2F%C3%BC").await;
    assert_eq!((code, content_type.as_str()), (200, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["customer_id"], "c 1/ü");
    assert_eq!(customer("nobody").await.0, 404);
    let (code, _, body) = customer("far").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &body["partition"], &body["owner"]), (421, &3.into(), &"ebbflow-2".into()));
    let (code, _, body) = customer("early").await;
    assert_eq!(code, 503);
    assert!(body.contains("partition 1 is being restored"), "{body}");
}

#[tokio::test]
async fn each_address_has_its_own_paths_and_names_them_where_there_is_nothing() {
    let running = start(None).await;
    let paths = [
        (&running.metrics, "/livez\n/readyz\n/metrics\n/tasks\n"),
        (&running.admin, "/customers/{id}\n"),
    ];
    for (address, paths) in paths {
        for path in ["", "/nowhere", "/customers"] {
            let (code, _, body) = fetch(format!("{address}{path}")).await;
            assert_eq!((code, body.as_str()), (404, paths), "{address}{path}");
        }
    }
    assert_eq!(fetch(format!("{}/livez", running.admin)).await.0, 404);
}

#[tokio::test]
async fn the_token_is_needed_where_there_is_one() {
    let file = std::env::temp_dir().join(format!("ebbflow-token-{}", std::process::id()));
    std::fs::write(&file, "s3cret\n").unwrap();
    let running = start(Some(file.clone())).await;
    let url = || format!("{}/customers/nobody", running.admin);
    assert_eq!(get_with(url(), None).await.0, 401);
    for wrong in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "Bearer", "s3cret"] {
        assert_eq!(get_with(url(), Some(wrong)).await.0, 401, "{wrong}");
    }
    assert_eq!(get_with(url(), Some("Bearer s3cret")).await.0, 404);
    assert_eq!(get_with(url(), Some("bearer s3cret")).await.0, 404);

    std::fs::write(&file, " \n").unwrap();
    let refused = Server::bind(&config(Some(file.clone())), sources().0).await.err().unwrap();
    assert!(refused.to_string().ends_with("is empty"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    let refused = Server::bind(&config(Some(file)), sources().0).await.err().unwrap();
    assert!(refused.to_string().contains("http.admin_token_file"), "{refused}");
}

#[tokio::test]
async fn customers_are_never_open_to_the_network() {
    let mut config = config(None);
    config.admin_listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Server::bind(&config, sources().0).await.err().unwrap();
    assert!(refused.to_string().contains("is not a loopback address"), "{refused}");
}

#[tokio::test]
async fn a_taken_address_names_its_key() {
    let first = Server::bind(&config(None), sources().0).await.unwrap();
    let mut config = config(None);
    config.metrics_listen = first.metrics_address().unwrap();
    let refused = Server::bind(&config, sources().0).await.err().unwrap();
    let port = config.metrics_listen.port();
    let expected = format!(
        "cannot listen on \"127.0.0.1:{port}\": Address already in use (os error 98); hint: \
         another program listens there; choose another port, such as --set \
         http.metrics_listen=127.0.0.1:{}",
        port.checked_add(10).unwrap_or(port - 10)
    );
    assert_eq!(refused.to_string(), expected);
    assert!(std::error::Error::source(&refused).is_none(), "said once");
}

#[tokio::test]
async fn a_signal_ends_both_servers_and_so_does_a_sender_that_is_gone() {
    let running = start(None).await;
    running.worker.update(|worker| worker.joined = true);
    running.status.stop();
    let (code, _, body) = fetch(format!("{}/readyz", running.metrics)).await;
    assert_eq!((code, body.as_str()), (503, "the process is stopping\n"));
    running.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), running.ended).await.unwrap().unwrap().unwrap();

    let running = start(None).await;
    drop(running.stop);
    tokio::time::timeout(Duration::from_secs(10), running.ended).await.unwrap().unwrap().unwrap();
}
