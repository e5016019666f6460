//! `/customers/{id}`: one customer's profile, as far as it is committed.
//!
//! Only for those who hold the token, or who are on this machine. Never logs an id.
//! Next: the closure that `service` gives, which looks into the stores of the tasks.

use super::HttpError;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::path::Path as FilePath;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Looks a customer up by id; must not block.
pub type Lookup = Arc<dyn Fn(&str) -> CustomerAnswer + Send + Sync>;

/// What is known about a customer here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerAnswer {
    /// The profile, encoded as JSON; where the customer became another one, theirs, which says so.
    Found(Vec<u8>),
    /// The partition is here and does not know the customer.
    NotFound,
    /// The partition is not here.
    Elsewhere {
        /// The customer's partition.
        partition: u32,
        /// The instance that has it, where that is known.
        owner: Option<String>,
        /// Whom the customer became, where that is known here.
        moved_to: Option<String>,
    },
    /// The partition is ours and cannot be read; the sentence says why.
    NotReady(String),
}

/// State of the route.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) lookup: Lookup,
    pub(super) token: Option<Token>,
}

/// The bearer token; neither shown nor compared in a time that depends on it.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8]>);

impl Token {
    /// The file's text without white space around it.
    pub(super) fn read(path: &FilePath) -> Result<Self, HttpError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| HttpError::TokenFile { path: path.to_owned(), reason })?;
        match text.trim() {
            "" => Err(HttpError::EmptyToken { path: path.to_owned() }),
            token => Ok(Self(token.as_bytes().into())),
        }
    }

    /// Whether the request carries it, as `Authorization: Bearer ...`.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let Some((scheme, token)) = given.and_then(|value| value.split_at_checked(7)) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(token.ct_eq(&self.0))
    }
}

/// 200 with the profile, 401, 404, 421 when another instance has the partition, 503.
pub(super) async fn customer(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if admin.token.as_ref().is_some_and(|token| !token.is_in(&headers)) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, refusal("a bearer token is needed"))
            .into_response();
    }
    match (admin.lookup)(&id) {
        CustomerAnswer::Found(profile) => {
            ([(header::CONTENT_TYPE, "application/json")], profile).into_response()
        }
        CustomerAnswer::NotFound => {
            (StatusCode::NOT_FOUND, refusal("no such customer")).into_response()
        }
        CustomerAnswer::Elsewhere { partition, owner, moved_to } => {
            let mut body = json!({
                "error": "another instance has this customer's partition",
                "partition": partition,
                "owner": owner,
            });
            if let Some(moved_to) = moved_to {
                body["customer_id"] = json!(moved_to);
            }
            (StatusCode::MISDIRECTED_REQUEST, Json(body)).into_response()
        }
        CustomerAnswer::NotReady(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, refusal(&reason)).into_response()
        }
    }
}

fn refusal(error: &str) -> Json<serde_json::Value> {
    Json(json!({ "error": error }))
}
