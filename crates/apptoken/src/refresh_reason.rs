/// Why the authority was asked, or is being asked (MSAL's `CacheRefreshReason`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshReason {
    /// It was not.
    #[default]
    NotApplicable,
    /// The caller said so, by force_refresh or claims.
    ForceRefreshOrClaims,
    /// No token was kept.
    NoCachedToken,
    /// The kept one has expired, or is within five minutes of it.
    Expired,
    /// The kept one is good and was handed out; a new one is fetched behind the caller's back.
    Proactive,
}
