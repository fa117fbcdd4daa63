//! Authorities and tenants: refused by the builder, or requests go to that host, over https.
#![no_main]

use std::future::IntoFuture;

use apptoken::ConfidentialClient;
use apptoken_fuzz::{Authority, GOOD, GRAPH, SECRET, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, Option<&str>, Option<&str>)| {
    let (url, tenant, other_tenant) = input;
    let authority = Authority::default();
    authority.answer(200, &[], GOOD);
    let mut builder = ConfidentialClient::builder("app")
        .authority(url)
        .instance_discovery(false)
        .client_secret(SECRET)
        .allow_any_scope(true)
        .transport(authority.clone());
    if let Some(tenant) = tenant {
        builder = builder.tenant(tenant);
    }
    let Ok(client) = builder.build() else { return };
    let mut call = client.acquire_token_for_client([GRAPH]);
    if let Some(tenant) = other_tenant {
        call = call.tenant(tenant);
    }
    let _ = run(call.into_future());
    for request in authority.requests() {
        let uri = request.uri();
        assert_eq!(uri.scheme_str(), Some("https"));
        assert!(uri.authority().is_some_and(|host| !host.as_str().contains('@')), "{uri}");
        let path = uri.path();
        assert!(!path.contains("//") && !path.contains("/../") && !path.contains("/./"), "{uri}");
    }
});
