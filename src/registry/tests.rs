//! A registry of a few lines that answers what a test tells it, and what the client makes of it.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Answers one request with a status and a body; gives back the request.
fn answer_once(status: u16, body: &'static str) -> (RegistryConfig, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/apis/ccompat/v7/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        let mut body_bytes = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body_bytes = length.trim().parse().unwrap();
            }
            request.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut sent = vec![0; body_bytes];
        reader.read_exact(&mut sent).unwrap();
        request.push_str(&String::from_utf8(sent).unwrap());
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
        reader.get_mut().write_all(head.as_bytes()).unwrap();
        request
    });
    (config(&url), server)
}

fn config(url: &str) -> RegistryConfig {
    RegistryConfig {
        url: url.to_owned(),
        user: None,
        password_file: None,
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn a_schema_is_fetched_by_its_id() {
    let (config, server) = answer_once(200, r#"{"schema":"\"string\""}"#);
    let schema = Registry::new(&config).unwrap().fetch_schema(7).unwrap();
    assert_eq!(
        schema,
        FetchedSchema { schema_type: "AVRO".to_owned(), text: "\"string\"".to_owned() }
    );
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /apis/ccompat/v7/schemas/ids/7 HTTP/1.1\r\n"), "{request}");
    assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
}

#[test]
fn a_schema_of_another_type_says_so() {
    let (config, server) = answer_once(200, r#"{"schemaType":"PROTOBUF","schema":"x"}"#);
    let schema = Registry::new(&config).unwrap().fetch_schema(7).unwrap();
    assert_eq!(schema.schema_type, "PROTOBUF");
    server.join().unwrap();
}

#[test]
fn a_schema_is_registered_under_its_subject_with_credentials() {
    let (mut config, server) = answer_once(200, r#"{"id":12,"version":1}"#);
    let path = std::env::temp_dir().join(format!("ebbflow-password-{}", std::process::id()));
    fs::write(&path, "open sesame\n").unwrap();
    config.user = Some("Aladdin".to_owned());
    config.password_file = Some(path.clone());
    let registry = Registry::new(&config);
    fs::remove_file(&path).unwrap();
    assert_eq!(registry.unwrap().register("a b/c-value", "\"string\"").unwrap(), 12);
    let request = server.join().unwrap();
    let expected = "POST /apis/ccompat/v7/subjects/a%20b%2Fc-value/versions HTTP/1.1\r\n";
    assert!(request.starts_with(expected), "{request}");
    // The example of RFC 7617 with its space in place.
    assert!(request.contains("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{request}");
    assert!(request.contains(r#""schema":"\"string\"""#), "{request}");
}

#[test]
fn the_status_says_whether_waiting_helps() {
    let cases: [(u16, &str, &str); 8] = [
        (404, r#"{"error_code":40403,"message":"Schema not found"}"#, "does not know it"),
        (404, "<html>not here</html>", "does not speak the Confluent registry API"),
        (200, "<html>log in</html>", "does not speak the Confluent registry API"),
        (500, r#"{"error_code":50001}"#, "was not available"),
        (503, "", "was not available"),
        (429, "", "was not available"),
        (401, "", "refuses with status 401"),
        (409, r#"{"error_code":409,"message":"incompatible"}"#, "refuses with status 409"),
    ];
    for (status, body, expected) in cases {
        let (config, server) = answer_once(status, body);
        let error = Registry::new(&config).unwrap().fetch_schema(7).unwrap_err();
        assert!(error.to_string().contains(expected), "{status}: {error}");
        server.join().unwrap();
    }
}

#[test]
fn a_registry_that_is_down_or_silent_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut silent = config(&url);
    silent.timeout = Duration::from_millis(100);
    let error = Registry::new(&silent).unwrap().fetch_schema(7).unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
    drop(listener);
    let error = Registry::new(&config(&url)).unwrap().fetch_schema(7).unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
}

#[test]
fn a_password_file_that_is_missing_is_named() {
    let mut config = config("http://127.0.0.1:1");
    config.user = Some("user".to_owned());
    config.password_file = Some(PathBuf::from("/nowhere/password"));
    let error = Registry::new(&config).unwrap_err();
    assert_eq!(error.to_string(), "cannot read registry.password_file \"/nowhere/password\"");
}
