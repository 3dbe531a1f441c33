//! Free endpoints, for as long as the account may have them.

use crate::auth::FreeLimits;
use crate::domain::ids::AccountId;
use crate::domain::quota::QuotaExceeded;
use crate::rank::Candidate;

/// Counts a call that may run for nothing, and answers who may be tried: everybody, or once the account has had its
/// free runs those who are paid. A call that nobody would serve for nothing is not looked at.
pub(super) async fn within_limits(
    limits: &FreeLimits,
    account: &AccountId,
    mut candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>, QuotaExceeded> {
    let limited = |candidate: &Candidate| {
        candidate.endpoint.pricing.is_free() && limits.cover(&candidate.model.id)
    };
    if !candidates.iter().any(limited) {
        return Ok(candidates);
    }
    // Large, and not for those who pay.
    if let Err(exceeded) = Box::pin(limits.begin(account)).await {
        candidates.retain(|candidate| !limited(candidate));
        if candidates.is_empty() {
            return Err(exceeded);
        }
    }
    Ok(candidates)
}
