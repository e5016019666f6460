//! The compose file against the files that it mounts and names: nothing here runs a container.
//!
//! Next: `docker-compose.yml`, `Dockerfile`, `config/compose.toml`.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn toml(path: &str) -> toml::Table {
    text(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map_or(Vec::new(), |list| list.iter().filter_map(Value::as_str).collect())
}

/// Host path and container path of each file that a service mounts.
fn mounts<'a>(compose: &'a Value, service: &str) -> Vec<(&'a str, &'a str)> {
    strings(&compose["services"][service]["volumes"])
        .into_iter()
        .filter(|mount| mount.starts_with("./"))
        .map(|mount| {
            let parts: Vec<&str> = mount.split(':').collect();
            assert_eq!(parts.get(2), Some(&"ro"), "{mount} is mounted read-only");
            (parts[0], parts[1])
        })
        .collect()
}

#[test]
fn every_service_has_a_pinned_image_and_a_health_check_or_ends() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().unwrap();
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["ebbflow", "kafka", "prometheus", "registry", "topics"]));
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        let tag = image.split_once(':').unwrap_or_else(|| panic!("{image} has no tag")).1;
        assert_ne!(tag, "latest", "{name}");
        let one_shot = service["restart"] == "no";
        assert_eq!(service["healthcheck"].is_null(), one_shot, "{name}");
        for port in strings(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} opens {port} to the network");
        }
    }
}

#[test]
fn what_is_mounted_is_what_is_shipped() {
    let compose = yaml("docker-compose.yml");
    for service in compose["services"].as_object().unwrap().keys() {
        for (host, _) in mounts(&compose, service) {
            assert!(project(host).is_file(), "{service} mounts {host}, which is not there");
        }
    }
    let config = [("./config/compose.toml", "/etc/ebbflow/compose.toml")];
    assert_eq!(mounts(&compose, "ebbflow"), config);
    assert_eq!(mounts(&compose, "topics"), config, "topics are made as the config names them");
    for service in ["ebbflow", "topics"] {
        let command = strings(&compose["services"][service]["command"]);
        assert_eq!(command[1..3], ["--config", config[0].1], "{service}");
    }
    let prometheus = mounts(&compose, "prometheus");
    assert!(prometheus.contains(&("./config/alerts.yml", "/etc/prometheus/alerts.yml")));
    assert!(prometheus.contains(&("./config/prometheus.yml", "/etc/prometheus/prometheus.yml")));
    assert_eq!(strings(&yaml("config/prometheus.yml")["rule_files"]), ["alerts.yml"]);
}

#[test]
fn ebbflow_starts_after_its_topics_were_made() {
    let compose = yaml("docker-compose.yml");
    let services = &compose["services"];
    let topics = strings(&services["topics"]["command"]);
    assert_eq!((topics.first(), topics.last()), (Some(&"topics"), Some(&"--create")));
    let condition = |service: &str, on: &str| {
        services[service]["depends_on"][on]["condition"].as_str().unwrap_or("").to_owned()
    };
    assert_eq!(condition("topics", "kafka"), "service_healthy");
    assert_eq!(condition("ebbflow", "topics"), "service_completed_successfully");
    assert_eq!(condition("ebbflow", "registry"), "service_healthy");
    assert_eq!(services["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
}

#[test]
fn addresses_of_the_config_are_those_of_the_services() {
    let compose = yaml("docker-compose.yml");
    let config = toml("config/compose.toml");
    let broker = config["kafka"]["bootstrap_servers"].as_str().unwrap();
    let kafka = &compose["services"]["kafka"]["environment"];
    let advertised = kafka["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    assert!(advertised.split(',').any(|listener| listener == format!("INTERNAL://{broker}")));
    let registry = config["registry"]["url"].as_str().unwrap();
    assert!(registry.starts_with("http://registry:8080/"), "{registry}");
    let listen = config["http"]["metrics_listen"].as_str().unwrap();
    let port = listen.strip_prefix("0.0.0.0:").unwrap();
    let prometheus = yaml("config/prometheus.yml");
    let target = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target, &Value::from(format!("ebbflow:{port}")));
    let probe = strings(&compose["services"]["ebbflow"]["healthcheck"]["test"]);
    assert_eq!(probe.last(), Some(&format!("http://127.0.0.1:{port}/readyz").as_str()));
    assert!(text("Dockerfile").contains(&format!("\nEXPOSE {port}\n")));
}

#[test]
fn the_image_is_built_in_stages_with_the_pinned_compiler_and_runs_without_rights() {
    let dockerfile = text("Dockerfile");
    let toolchain = toml("rust-toolchain.toml");
    let compiler = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{compiler}-bookworm AS build")));
    let last_stage = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(!last_stage.contains("rust:"), "the compiler is left behind");
    let user = last_stage.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(!["0", "root"].contains(&user), "runs as {user}");
    assert!(last_stage.contains("ENTRYPOINT [\"ebbflow\"]"));
}
