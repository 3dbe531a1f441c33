//! `GET /credits`: what the account was given and has used (contract 16.3).

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Data;
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::edge::extract::Manager;
use crate::store::Store;

/// The account's totals.
#[derive(Serialize)]
pub struct Totals {
    total_credits: Nanos,
    total_usage: Nanos,
}

/// `GET /credits`, for management keys.
pub async fn show(
    State(store): State<Store>,
    Manager(who): Manager,
) -> Result<Json<Data<Totals>>, ApiError> {
    let credits = store.credits(&who.account).await?;
    Ok(Json(Data {
        data: Totals {
            total_credits: credits.granted,
            total_usage: credits.used,
        },
    }))
}
