//! A broker that lets nobody in without TLS, a password and ACLs, and the granting of ACLs.
//!
//! Its plain listener is the administrator's: whoever comes that way may do everything.
//! Next: `security.rs`.

use crate::broker::{PASSWORD, Ports, TestBroker, USER};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The broker, its authority's certificate, and that of an authority which has signed nothing.
pub(crate) struct SecureBroker {
    broker: TestBroker,
    pub(crate) authority: PathBuf,
    pub(crate) stranger: PathBuf,
}

impl SecureBroker {
    pub(crate) fn start() -> Self {
        let mut certificates = PathBuf::new();
        let broker = TestBroker::start_with(|folder, ports| {
            make_certificates(folder);
            certificates = folder.to_owned();
            settings(folder, ports)
        });
        let [authority, stranger] = ["ca.pem", "stranger.pem"].map(|name| certificates.join(name));
        Self { broker, authority, stranger }
    }

    /// `host:port` of the administrator's listener.
    pub(crate) fn plain_bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    /// `host:port` of the listener with TLS.
    pub(crate) fn bootstrap(&self) -> String {
        self.broker.sasl_bootstrap()
    }

    /// What a client needs to get in, as settings of the program.
    pub(crate) fn login(&self) -> Vec<String> {
        let property = |key: &str, value: &str| format!("kafka.properties.{key}={value}");
        vec![
            property("security.protocol", "SASL_SSL"),
            property("sasl.mechanisms", "SCRAM-SHA-512"),
            property("sasl.username", USER),
            property("sasl.password", PASSWORD),
            property("ssl.ca.location", self.authority.to_str().expect("UTF-8")),
        ]
    }

    /// Grants to [`USER`]. librdkafka's administration of ACLs is not part of rdkafka, and the
    /// Java tool takes seconds for each: this is the request CreateAcls, version 1.
    pub(crate) fn grant(&self, grants: &[Grant]) {
        let mut body = Vec::new();
        let string = |text: &str, into: &mut Vec<u8>| {
            into.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
            into.extend(text.as_bytes());
        };
        body.extend([0, 30, 0, 1, 0, 0, 0, 7]);
        string("test", &mut body);
        body.extend(u32::try_from(grants.len()).expect("few").to_be_bytes());
        for grant in grants {
            body.push(grant.resource as u8);
            string(&grant.name, &mut body);
            body.push(if grant.prefix { PREFIXED } else { LITERAL });
            string(&format!("User:{USER}"), &mut body);
            string("*", &mut body);
            body.extend([grant.operation as u8, ALLOW]);
        }
        let mut stream = TcpStream::connect(self.plain_bootstrap()).expect("connect");
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        stream.write_all(&[&length[..], &body].concat()).expect("send the request");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("read the answer's length");
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("64 bits")];
        stream.read_exact(&mut answer).expect("read the answer");
        // Correlation id, throttle time, count; then 4 bytes each: no error, an empty message.
        let granted = [&[0, 0, 0, 7, 0, 0, 0, 0][..], &answer[8..12]].concat();
        let expected = [&granted[..], &[0; 4].repeat(grants.len())].concat();
        assert_eq!(answer, expected, "the ACLs are granted");
    }
}

const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
const ALLOW: u8 = 3;

/// Kinds of resources, by Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resource {
    Topic = 2,
    Group = 3,
    TransactionalId = 5,
}

/// Operations, by Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
    DescribeConfigs = 10,
}

/// One permission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Grant {
    pub(crate) resource: Resource,
    pub(crate) name: String,
    /// For all names that begin so.
    pub(crate) prefix: bool,
    pub(crate) operation: Operation,
}

impl Grant {
    /// For the resource of exactly this name.
    pub(crate) fn of(resource: Resource, name: String, operation: Operation) -> Self {
        Self { resource, name, prefix: false, operation }
    }
}

/// An authority that signs the broker's certificate, and one that does not.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap_or_else(|error| panic!("could not start openssl: {error}; install it"));
        assert!(made.status.success(), "openssl {arguments}: {made:?}");
    };
    for name in ["ca", "stranger"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 \
             -subj /CN={name}"
        ));
    }
    openssl("req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=localhost");
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1").expect("write");
    openssl(
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -out broker.pem -extfile names",
    );
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("openssl has made it");
    let both = read("broker.key") + &read("broker.pem");
    fs::write(folder.join("keystore.pem"), both).expect("write the key");
}

fn settings(folder: &Path, ports: &Ports) -> String {
    let Ports { plain, sasl, controller } = ports;
    let folder = folder.display();
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},\
         CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,\
         CONTROLLER:PLAINTEXT\n\
         listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={folder}/keystore.pem\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={folder}/ca.pem\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         allow.everyone.if.no.acl.found=false\n"
    )
}
